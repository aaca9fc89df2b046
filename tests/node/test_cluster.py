"""A client of the whole cluster: it finds the owner, follows it, and hears every message once."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from random import Random

import pytest
import trio

from actors.failures import ActorFailed
from dispatch.ids import MarketId
from dispatch.step import Accepted, Code, Refused
from node.cluster import ClusterClient
from node.line import LinkLimits
from tests.node.loopback import (
    PERSON,
    SECRET,
    SHARD,
    Desk,
    FeedStore,
    Node,
    Text,
    alive,
    answering,
    clustered,
    texts,
)
from wire.link import Ask, Failed, Gone, Late, Outcome, SecretTooShort

MESSAGE = Text("hello")
SLOW_TO_PROVE = LinkLimits(proof_s=30)


def pointing(desk: Desk, owner: Node, *peers: Node) -> None:
    """Have the desk say that the node owns every shard."""
    desk.address_of_owner = owner.address
    desk.peers = tuple(node.address for node in (owner, *peers))


async def taken(feed: AsyncGenerator[tuple[int, bytes]], count: int) -> list[tuple[int, bytes]]:
    """Return the next messages of a feed."""
    return [await anext(feed) for _ in range(count)]


async def test_a_client_finds_the_owner_through_any_node() -> None:
    asked, owning = Desk(), Desk()
    async with alive() as nursery:
        first, owner = await answering(nursery, asked), await answering(nursery, owning)
        pointing(asked, owner, first)
        client = clustered(nursery, first)

        answer = await client.ask(MarketId("copenhagen"), "order", "o1", MESSAGE, 2.0)

    assert answer == Accepted()
    assert asked.asked == []
    assert [(ask.shard, ask.kind, ask.key) for ask in owning.asked] == [(SHARD, "order", "o1")]


async def test_a_client_goes_where_the_shard_has_gone() -> None:
    before, now = Desk(), Desk()
    async with alive() as nursery:
        old, new = await answering(nursery, before), await answering(nursery, now)
        pointing(before, old, new)

        async def moved(_asked: Ask) -> Outcome:
            await trio.lowlevel.checkpoint()
            return Gone("it was handed over", new.address)

        client = clustered(nursery, old)
        await client.ask(SHARD, "order", "o1", MESSAGE, 2.0)
        before.answer = moved

        answer = await client.ask(SHARD, "order", "o2", MESSAGE, 2.0)

    assert answer == Accepted()
    assert [ask.key for ask in now.asked] == ["o2"]


async def test_a_client_asks_on_while_nobody_owns_the_shard() -> None:
    desk = Desk()
    async with alive() as nursery:
        node = await answering(nursery, desk)
        desk.peers = (node.address,)

        async def take_over() -> None:
            await trio.sleep(0.1)
            pointing(desk, node)

        nursery.start_soon(take_over)

        answer = await clustered(nursery, node).ask(SHARD, "order", "o1", MESSAGE, 3.0)

    assert answer == Accepted()


async def test_a_client_whose_nodes_are_all_gone_asks_those_it_is_introduced_to() -> None:
    gone, heir = Desk(), Desk()
    async with alive() as nursery:
        first, second = await answering(nursery, gone), await answering(nursery, heir)
        pointing(gone, first)
        pointing(heir, second)
        client = clustered(nursery, first)
        await client.ask(SHARD, "order", "o1", MESSAGE, 2.0)
        first.cut()
        with pytest.raises(trio.TooSlowError):
            await client.ask(SHARD, "order", "o2", MESSAGE, 0.2)

        client.meet([second.address])
        answer = await client.ask(SHARD, "order", "o2", MESSAGE, 3.0)

    assert answer == Accepted()
    assert [ask.key for ask in heir.asked] == ["o2"]


async def test_a_node_that_dies_with_the_question_is_asked_no_more_but_its_successor_is() -> None:
    dying, heir = Desk(), Desk()
    async with alive() as nursery:
        first, second = await answering(nursery, dying), await answering(nursery, heir)
        pointing(dying, first, second)
        pointing(heir, first, second)

        async def die(_asked: Ask) -> Outcome:
            pointing(heir, second)
            first.cut()
            await trio.sleep_forever()
            raise AssertionError

        dying.answer = die

        answer = await clustered(nursery, first, second).ask(SHARD, "order", "o1", MESSAGE, 3.0)

    assert answer == Accepted()
    assert [ask.message for ask in heir.asked] == [ask.message for ask in dying.asked]


async def test_a_stopped_node_holds_up_no_search_for_the_owner() -> None:
    heir = Desk()
    async with alive() as nursery:
        second = await answering(nursery, heir)
        pointing(heir, second)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listeners[0]:
            stopped = Node(f"127.0.0.1:{listeners[0].socket.getsockname()[1]}", trio.CancelScope())

            with trio.fail_after(3):
                answers = [
                    await clustered(nursery, stopped, second, link=SLOW_TO_PROVE, seed=at).ask(
                        SHARD, "order", f"o{at}", MESSAGE, 3.0
                    )
                    for at in range(4)
                ]

    assert answers == [Accepted()] * 4


async def test_a_client_learns_of_nodes_it_was_never_told_of() -> None:
    asked, owning = Desk(), Desk()
    async with alive() as nursery:
        first, owner = await answering(nursery, asked), await answering(nursery, owning)
        pointing(asked, owner, first)
        pointing(owning, owner)
        client = clustered(nursery, first)
        await client.ask(SHARD, "order", "o1", MESSAGE, 2.0)
        first.cut()

        answer = await client.ask(MarketId("malta"), "order", "o2", MESSAGE, 2.0)

    assert answer == Accepted()


async def test_a_refusal_is_the_answer_and_is_not_asked_again() -> None:
    desk = Desk()

    async def refuse(_asked: Ask) -> Outcome:
        await trio.lowlevel.checkpoint()
        return Refused(Code.NOT_FOUND)

    desk.answer = refuse
    async with alive() as nursery:
        node = await answering(nursery, desk)
        pointing(desk, node)

        answer = await clustered(nursery, node).ask(SHARD, "order", "o1", MESSAGE, 2.0)

    assert answer == Refused(Code.NOT_FOUND)
    assert len(desk.asked) == 1


async def test_a_step_that_failed_is_told_as_such() -> None:
    desk = Desk()

    async def fail(_asked: Ask) -> Outcome:
        await trio.lowlevel.checkpoint()
        return Failed("order o1: ValueError()")

    desk.answer = fail
    async with alive() as nursery:
        node = await answering(nursery, desk)
        pointing(desk, node)

        with pytest.raises(ActorFailed, match="ValueError"):
            await clustered(nursery, node).ask(SHARD, "order", "o1", MESSAGE, 2.0)


async def test_an_ask_ends_with_its_time_whatever_the_nodes_do() -> None:
    desk = Desk()

    async def be_late(_asked: Ask) -> Outcome:
        await trio.lowlevel.checkpoint()
        return Late()

    desk.answer = be_late
    async with alive() as nursery:
        node = await answering(nursery, desk)
        pointing(desk, node)

        with pytest.raises(trio.TooSlowError):
            await clustered(nursery, node).ask(SHARD, "order", "o1", MESSAGE, 0.2)


async def test_a_feed_goes_on_over_links_and_nodes_that_are_lost_each_message_once() -> None:
    store = FeedStore()
    desks = [Desk(store), Desk(store)]
    async with alive() as nursery:
        nodes = [await answering(nursery, desk) for desk in desks]
        for desk in desks:
            pointing(desk, nodes[0], nodes[1])
        client = clustered(nursery, *nodes)
        desks[0].say("0")
        async with aclosing(client.listen(SHARD, PERSON, 0)) as feed:
            heard = await taken(feed, 1)
            desks[0].say("1")
            heard += await taken(feed, 1)
            desks[0].say("2")
            nodes[0].cut()
            store.commit(PERSON, "3")
            pointing(desks[1], nodes[1])
            heard += await taken(feed, 2)
            desks[1].say("4")
            heard += await taken(feed, 1)

    assert texts(heard) == [(at + 1, f"{at}") for at in range(5)]


async def test_a_feed_follows_the_shard_that_asks_found_elsewhere() -> None:
    store = FeedStore()
    before, now = Desk(store), Desk(store)
    async with alive() as nursery:
        old, new = await answering(nursery, before), await answering(nursery, now)
        pointing(before, old, new)
        client = clustered(nursery, old)
        async with aclosing(client.listen(SHARD, PERSON, 0)) as feed:
            before.say("0")
            heard = await taken(feed, 1)

            async def moved(_asked: Ask) -> Outcome:
                await trio.lowlevel.checkpoint()
                return Gone("it was handed over", new.address)

            before.answer = moved
            await client.ask(SHARD, "order", "o1", MESSAGE, 2.0)
            now.say("1")
            heard += await taken(feed, 1)
            now.say("2")
            heard += await taken(feed, 1)
            listening = now.hub.listening_count()

    assert texts(heard) == [(1, "0"), (2, "1"), (3, "2")]
    assert listening == 1


async def test_a_client_with_a_secret_too_short_is_told_so_at_once() -> None:
    async with alive() as nursery:
        with pytest.raises(SecretTooShort, match="16 or more"):
            ClusterClient(nursery, ["127.0.0.1:1"], SECRET[:4], Random(1))
