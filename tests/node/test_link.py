"""The link between nodes over loopback sockets: who may speak, what is answered, who is cut off."""

from contextlib import suppress

import pytest
import trio
from msgspec import structs

from dispatch.ids import MarketId
from dispatch.lease import NodeId
from dispatch.step import Accepted, Code, Refused
from node.feeds import FeedLimits
from node.line import LinkLimits, LinkLost
from node.link import OVERLOADED, serve_link
from node.peer import dialled
from tests.node.loopback import (
    BRISK,
    PERSON,
    SECRET,
    SHARD,
    Desk,
    Node,
    alive,
    answering,
    linked,
    texts,
    until,
)
from wire.link import (
    Answer,
    Ask,
    Frame,
    FrameReader,
    Hello,
    Late,
    Listen,
    Outcome,
    Owner,
    Proof,
    SecretTooShort,
    Side,
    framed,
    proof,
)

ASK = Ask(1, SHARD, "order", "o1", b"", 1.0)
PATIENT = LinkLimits(proof_s=60, idle_s=60)


async def raw(node: Node) -> trio.SocketStream:
    """Return a connection that has said nothing yet."""
    host, _, port = node.address.partition(":")
    return await trio.open_tcp_stream(host, int(port))


async def proven(node: Node) -> trio.SocketStream:
    """Return a connection that has proven itself and then does as the test says."""
    stream, reader, frames = await raw(node), FrameReader(), list[Frame]()
    mine = Hello(1, "x", bytes(32))
    await stream.send_all(framed(mine))
    while not any(isinstance(frame, Proof) for frame in frames):
        reader.feed(await stream.receive_some(1_024))
        for frame in reader.frames():
            frames.append(frame)
            if isinstance(frame, Hello):
                await stream.send_all(framed(proof(SECRET, Side.DIALLED, mine, frame)))
    return stream


async def cut_off(stream: trio.SocketStream) -> bool:
    """Read until the other side has closed the connection; False when it never does."""
    async with stream:
        with trio.move_on_after(3) as scope, suppress(trio.BrokenResourceError):
            while await stream.receive_some(65_536):
                pass
        return not scope.cancelled_caught


async def test_a_question_is_answered_with_what_the_actor_said() -> None:
    desk = Desk()
    async with alive() as nursery:
        link = await linked(nursery, await answering(nursery, desk))

        outcome = await link.ask(SHARD, "order", "o1", b"\x01", 1.0)

    assert outcome == Accepted()
    assert desk.asked == [Ask(1, SHARD, "order", "o1", b"\x01", 1.0)]


async def test_many_questions_wait_on_one_link_and_are_answered_in_any_order() -> None:
    desk, outcomes = Desk(), dict[str, Outcome]()

    async def later_first(asked: Ask) -> Outcome:
        await trio.sleep(0.05 - int(asked.key) * 0.001)
        return Refused(Code.INVALID, asked.key)

    desk.answer = later_first
    async with alive() as nursery:
        link = await linked(nursery, await answering(nursery, desk))

        async def ask(key: str) -> None:
            outcomes[key] = await link.ask(SHARD, "order", key, b"", 2.0)

        async with trio.open_nursery() as asking:
            for at in range(40):
                asking.start_soon(ask, f"{at}")

    assert outcomes == {f"{at}": Refused(Code.INVALID, f"{at}") for at in range(40)}


async def test_a_question_nobody_answers_is_late() -> None:
    desk = Desk()

    async def never(_asked: Ask) -> Outcome:
        await trio.sleep_forever()
        raise AssertionError

    desk.answer = never
    async with alive() as nursery:
        link = await linked(nursery, await answering(nursery, desk))

        outcome = await link.ask(SHARD, "order", "o1", b"", 0.05)

        assert outcome == Late()
        assert not link.is_lost


async def test_more_questions_than_a_link_may_have_are_refused() -> None:
    desk, limits = Desk(), LinkLimits(asks_max=2)
    release = trio.Event()

    async def held(_asked: Ask) -> Outcome:
        await release.wait()
        return Accepted()

    desk.answer = held
    async with alive() as nursery:
        node = await answering(nursery, desk, limits=limits)
        link = await linked(nursery, node)
        for key in ("a", "b"):
            nursery.start_soon(link.ask, SHARD, "order", key, b"", 2.0)
        await until(lambda: len(desk.asked) == 2)

        outcome = await link.ask(SHARD, "order", "c", b"", 2.0)
        release.set()
        later = [await link.ask(SHARD, "order", "a", b"", 2.0) for _ in range(5)]

    assert outcome == OVERLOADED
    assert later == [Accepted()] * 5
    assert {asked.key for asked in desk.asked} == {"a", "b"}


async def test_a_node_says_who_owns_a_market() -> None:
    desk = Desk()
    desk.address_of_owner, desk.peers = "127.0.0.1:7001", ("127.0.0.1:7001", "127.0.0.1:7002")
    async with alive() as nursery:
        link = await linked(nursery, await answering(nursery, desk))

        owner = await link.owner(MarketId("copenhagen"))

    assert owner == Owner(1, SHARD, "127.0.0.1:7001", desk.peers)


async def test_a_peer_with_another_secret_is_not_answered() -> None:
    desk = Desk()
    async with alive() as nursery:
        node = await answering(nursery, desk)

        with pytest.raises(LinkLost):
            await linked(nursery, node, secret=b"the secret of another one")

    assert desk.asked == []


async def test_a_node_that_does_not_know_the_secret_is_not_asked() -> None:
    async with alive() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        impostor = Node(f"127.0.0.1:{listeners[0].socket.getsockname()[1]}", trio.CancelScope())

        async def pretend(stream: trio.SocketStream) -> None:
            await stream.send_all(framed(Hello(1, "n", bytes(32))) + framed(Proof(bytes(32))))
            await trio.sleep(1)

        nursery.start_soon(trio.serve_listeners, pretend, listeners)

        with pytest.raises(LinkLost, match="does not know the secret"):
            await linked(nursery, impostor)


async def test_a_stranger_who_never_proves_himself_is_cut_off() -> None:
    async with alive() as nursery:
        node = await answering(nursery, Desk(), limits=LinkLimits(proof_s=0.1))
        silent = await raw(node)
        greeting = await raw(node)
        await greeting.send_all(framed(Hello(1, "x", bytes(32))))

        assert await cut_off(silent)
        assert await cut_off(greeting)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        framed(ASK),
        framed(Proof(bytes(32))),
        framed(Hello(99, "x", bytes(32))),
        framed(Hello(1, "x", bytes(32))) + framed(Proof(bytes(32))) + framed(ASK),
        bytes(4),
    ],
)
async def test_a_stranger_who_says_anything_else_is_cut_off_and_nobody_else(sent: bytes) -> None:
    desk = Desk()
    async with alive() as nursery:
        node = await answering(nursery, desk, limits=PATIENT)
        stranger = await raw(node)
        await stranger.send_all(sent)

        assert await cut_off(stranger)
        assert desk.asked == []
        link = await linked(nursery, node)
        assert await link.ask(SHARD, "order", "o1", b"", 1.0) == Accepted()


async def test_a_node_that_falls_silent_counts_as_lost() -> None:
    async with alive() as nursery:
        dumb = LinkLimits(beat_s=3_600)
        node = await answering(nursery, Desk(), limits=dumb)
        link = await linked(nursery, node, limits=LinkLimits(idle_s=0.1))

        with link.listening(PERSON, 0) as feed, pytest.raises(LinkLost, match=r"silent for 0\.1 s"):
            await anext(feed)


async def test_a_lost_link_lets_everybody_go_who_waits_on_it() -> None:
    desk, lost = Desk(), list[str]()

    async def never(_asked: Ask) -> Outcome:
        await trio.sleep_forever()
        raise AssertionError

    desk.answer = never
    async with alive() as nursery:
        node = await answering(nursery, desk)
        link = await linked(nursery, node)

        async def ask() -> None:
            try:
                await link.ask(SHARD, "order", "o1", b"", 5.0)
            except LinkLost as error:
                lost.append(str(error))

        async def listen() -> None:
            try:
                with link.listening(PERSON, 0) as feed:
                    await anext(feed)
            except LinkLost as error:
                lost.append(str(error))

        async with trio.open_nursery() as waiting:
            waiting.start_soon(ask)
            waiting.start_soon(listen)
            await until(lambda: bool(desk.asked and desk.hub.listening_count()))
            node.cut()

        with pytest.raises(LinkLost):
            await link.ask(SHARD, "order", "o1", b"", 5.0)

    assert len(lost) == 2
    assert link.is_lost


async def test_nobody_at_an_address_is_a_lost_link() -> None:
    async with alive() as nursery:
        with pytest.raises(LinkLost, match=r"nobody answers at 127\.0\.0\.1:9"):
            await dialled(nursery, "127.0.0.1:9", SECRET, name="client", limits=BRISK)


async def test_one_connection_too_many_is_closed_unread() -> None:
    async with alive() as nursery:
        node = await answering(nursery, Desk(), limits=LinkLimits(connections_max=1))
        link = await linked(nursery, node)

        with pytest.raises(LinkLost):
            await linked(nursery, node)

        assert await link.ask(SHARD, "order", "o1", b"", 1.0) == Accepted()


async def test_a_secret_that_could_be_guessed_is_no_secret_to_serve_with() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async with listeners[0]:
        with pytest.raises(SecretTooShort):
            await serve_link(listeners, node=NodeId("n"), secret=b"x", backend=Desk())


async def test_a_feed_begins_after_the_cursor_and_goes_on_as_it_is_committed() -> None:
    desk = Desk()
    for text in ("one", "two", "three"):
        desk.say(text)
    async with alive() as nursery:
        link = await linked(nursery, await answering(nursery, desk))
        with link.listening(PERSON, 1) as feed:
            heard = [await anext(feed), await anext(feed)]
            desk.say("four")
            heard.append(await anext(feed))

    assert texts(heard) == [(2, "two"), (3, "three"), (4, "four")]


async def test_who_listens_no_more_is_shown_no_more() -> None:
    desk = Desk()
    async with alive() as nursery:
        link = await linked(nursery, await answering(nursery, desk))
        with link.listening(PERSON, 0) as feed:
            desk.say("one")
            await anext(feed)
            assert desk.hub.listening_count() == 1

        await until(lambda: not desk.hub.listening_count())

        assert not link.is_lost


async def test_a_slow_listener_holds_up_nobody_and_misses_nothing() -> None:
    desk = Desk(limits=FeedLimits(waiting_max=4))
    async with alive() as nursery:
        link = await linked(
            nursery, await answering(nursery, desk), limits=structs.replace(BRISK, shown_max=3)
        )
        with link.listening(PERSON, 0) as feed:
            heard = list[tuple[int, bytes]]()
            desk.say("0")
            heard.append(await anext(feed))
            for at in range(1, 50):
                desk.say(f"{at}")
                if at % 10 == 0:
                    assert await link.ask(SHARD, "order", "o1", b"", 1.0) == Accepted()
            await until(lambda: not desk.hub.listening_count())
            assert not link.is_lost
            while len(heard) < 50:
                heard.append(await anext(feed))

    assert texts(heard) == [(at + 1, f"{at}") for at in range(50)]


async def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    desk = Desk()
    for _ in range(200):
        desk.store.commit(PERSON, "x" * 100_000)
    async with alive() as nursery:
        limits = LinkLimits(stall_s=0.2, idle_s=60)
        node = await answering(nursery, desk, limits=limits)
        deaf = await proven(node)
        await deaf.send_all(framed(Listen(1, PERSON, 0)))
        await until(lambda: desk.hub.listening_count() == 1)
        await until(lambda: not desk.hub.listening_count())

        assert await cut_off(deaf)


@pytest.mark.parametrize(
    ("sent", "feeds_max"),
    [
        (framed(Hello(1, "x", bytes(32))), 10),
        (framed(Answer(1, Accepted())), 10),
        (framed(Listen(1, PERSON, 0)) * 2, 10),
        (framed(Listen(1, PERSON, 0)) + framed(Listen(2, PERSON, 0)), 1),
        (b"\x00\x00\x00\x02\xff\xff", 10),
    ],
)
async def test_a_peer_that_breaks_the_rules_ends_its_own_link_only(
    sent: bytes, feeds_max: int
) -> None:
    async with alive() as nursery:
        node = await answering(
            nursery, Desk(), limits=structs.replace(PATIENT, feeds_max=feeds_max)
        )
        orderly, unruly = await linked(nursery, node), await proven(node)

        await unruly.send_all(sent)

        assert await cut_off(unruly)
        assert await orderly.ask(SHARD, "order", "o1", b"", 1.0) == Accepted()
