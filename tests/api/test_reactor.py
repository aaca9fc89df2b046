"""The reactor over real sockets: what guests are told, and what each limit does to a peer."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio

from api.poll import accept
from api.proxies import proxies
from api.reactor import Reactor, ReactorLimits, Socket
from tests.api.phone import House, Listener, Phone, housed
from tests.wire.client import BINARY, CLOSE, PING, PONG, TEXT, closed_with, masked, request
from wire.websocket import LOST, NO_STATUS, Handshake, framed

TIGHT = ReactorLimits(sockets_max=3, peer_sockets_max=2, message_bytes_max=1000, room_bytes=20_000)


async def settled(house: House) -> None:
    """Wait until the reactor has forgotten every connection."""
    with trio.fail_after(20):
        while house.reactor.statistics().sockets or house.reactor.statistics().arriving:  # noqa: ASYNC110
            await trio.sleep(0.001)


async def test_a_guest_is_told_what_its_phone_says() -> None:
    async with housed() as house, house.opened() as (phone, guest):
        await phone.raw(masked(b"{}", TEXT) + masked(b"\x80"))
        await phone.say(b"x" * 5000)

        await phone.say(b"?", PING)
        pong = await phone.frame()

        assert guest.messages == ["{}", b"\x80", b"x" * 5000]
        assert pong == (PONG, b"?")


async def test_a_phone_hears_what_its_guest_sends() -> None:
    async with housed() as house, house.opened() as (phone, guest):
        has_room = guest.socket.send(framed(b"welcome"))

        assert has_room
        assert await phone.frame() == (BINARY, b"welcome")


async def test_the_usher_sees_who_comes_and_how() -> None:
    async with housed() as house, house.phone() as phone:
        await phone.open("/v1/courier?x=1", Sec_WebSocket_Protocol="dispatch.v1.json", Origin="a")

        guest = house.guests[0]

        assert guest.socket.peer == "127.0.0.1"
        assert guest.request.query == "x=1"
        assert guest.request.origin == "a"


async def test_no_header_is_kept_for_as_long_as_a_socket_is_open() -> None:
    async with housed() as house:
        wanted = {"Sec_WebSocket_Protocol": "dispatch.v1.json", "Authorization": "Bearer secret"}
        async with house.opened(**wanted) as (_, one), house.opened(**wanted) as (_, other):
            kept = Handshake(path="/v1/courier", subprotocol="dispatch.v1.json")

            assert one.socket.request == kept
            assert one.socket.request is other.socket.request
            assert one.request.authorization == "Bearer secret"


async def test_a_request_may_come_a_byte_at_a_time_and_frames_with_it() -> None:
    async with housed() as house, house.phone() as phone:
        asked = request("/v1/courier")
        for place in range(0, len(asked), 7):
            await phone.raw(asked[place : place + 7])
            await trio.lowlevel.checkpoint()
        await phone.head()

        await phone.raw(masked(b"late"))
        await house.guests[0].heard.wait()

        assert house.guests[0].messages == [b"late"]


async def test_frames_behind_the_request_are_not_lost() -> None:
    async with housed() as house, house.phone() as phone:
        await phone.raw(request("/v1/courier") + masked(b"early"))

        await phone.head()

        assert house.guests[0].messages == [b"early"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("/v1/nowhere"), "404"),
        (request("/v1/courier", Upgrade=None), "426"),
        (b"GET /v1/courier HTTP/1.1\r\nbroken\r\n\r\n", "400"),
    ],
)
async def test_a_wrong_request_is_answered_and_cut_off(asked: bytes, status: str) -> None:
    async with housed() as house, house.phone() as phone:
        await phone.raw(asked)

        assert status in await phone.head()
        await settled(house)
        assert house.reactor.statistics().handshakes_refused == 1
        assert house.guests == []


async def test_who_does_not_ask_in_time_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with housed() as house, house.phone() as phone:
        await phone.raw(b"GET /v1/courier HTTP/1.1\r\n")

        assert await phone.is_cut_off()

    assert autojump_clock.current_time() >= ReactorLimits().handshake_s


@pytest.mark.parametrize(
    ("sent", "echoed", "told"),
    [
        (closed_with(1000, b"bye"), (1000).to_bytes(2), 1000),
        (closed_with(4000), (4000).to_bytes(2), 4000),
        (closed_with(None), b"", NO_STATUS),
    ],
)
async def test_a_phone_that_says_goodbye_is_answered(sent: bytes, echoed: bytes, told: int) -> None:
    async with housed() as house, house.opened() as (phone, guest):
        await phone.raw(sent + masked(b"after"))

        assert await phone.frame() == (CLOSE, echoed)
        assert await phone.is_cut_off()
        assert guest.codes == [told]
        assert guest.messages == []


async def test_a_phone_that_breaks_a_rule_is_told_which() -> None:
    async with housed(TIGHT) as house, house.opened() as (phone, guest):
        await phone.raw(masked(b"fine") + masked(b"x" * 1001))

        opcode, payload = await phone.frame()

        assert opcode == CLOSE
        assert payload[:2] == (1009).to_bytes(2)
        assert b"1000 bytes" in payload
        assert guest.messages == [b"fine"]
        assert guest.codes == [1009]


async def test_a_phone_that_is_gone_is_no_surprise() -> None:
    async with housed() as house:
        async with house.opened() as (phone, guest):
            await phone.say(b"last words")

        await guest.over.wait()

        assert guest.messages == [b"last words"]
        assert guest.codes == [LOST]
        assert not guest.socket.send(framed(b"too late"))
        assert guest.socket.is_closed


async def test_a_guest_closes_its_socket_behind_what_it_sent() -> None:
    async with housed() as house, house.opened() as (phone, guest):
        guest.socket.send(framed(b"go there"))
        guest.socket.close(4300, "moved")
        guest.socket.close(1000, "again")
        was_told_at_once = bool(guest.codes)

        assert await phone.frame() == (BINARY, b"go there")
        assert await phone.close_code() == 4300
        assert guest.codes == [4300]
        assert not was_told_at_once


async def test_what_a_phone_says_after_the_close_is_not_told() -> None:
    async with housed() as house, house.opened() as (phone, guest):
        guest.socket.close(1000)
        await phone.raw(masked(b"too late") * 3)

        assert await phone.close_code() == 1000
        assert guest.messages == []


async def test_who_never_hangs_up_is_hung_up_on(autojump_clock: trio.testing.MockClock) -> None:
    async with housed() as house, house.opened() as (phone, guest):
        before_s = autojump_clock.current_time()
        guest.socket.close(1000)
        assert await phone.close_code() == 1000

        await settled(house)

        assert autojump_clock.current_time() - before_s >= ReactorLimits().close_s
        assert guest.codes == [1000]


def fill(guest: Listener, frame: bytes) -> int:
    """Send until there is no room; return how many frames that took."""
    for count in range(1, 10_000):
        if not guest.socket.send(frame):
            return count
    raise AssertionError("there was room for ten thousand frames")


async def test_a_slow_phone_gets_everything_and_its_guest_hears_of_room() -> None:
    async with housed() as house, house.opened() as (phone, guest):
        frame = framed(b"p" * 30_000)
        sent = fill(guest, frame)
        refused = not guest.socket.send(framed(b"end"))

        heard = [await phone.frame() for _ in range(sent + 1)]

        assert refused
        assert heard[-1] == (BINARY, b"end")
        assert heard[:-1] == [(BINARY, b"p" * 30_000)] * sent
        assert guest.drains == 1
        assert guest.socket.send(framed(b"more"))


async def test_a_phone_that_lets_too_much_wait_is_cut_off() -> None:
    async with housed() as house, house.opened() as (phone, guest):
        frame = framed(b"p" * 30_000)
        fill(guest, frame)
        while not guest.socket.is_closed:
            guest.socket.send(frame)

        await guest.over.wait()
        while (heard := await phone.frame())[0] != CLOSE:
            pass

        assert guest.codes == [4430]
        assert heard[1][:2] == (4430).to_bytes(2)
        assert house.reactor.statistics().too_slow == 1


async def test_a_phone_that_never_reads_is_cut_off_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with housed() as house, house.opened() as (_, guest):
        fill(guest, framed(b"p" * 30_000))

        await guest.over.wait()
        given_up_s = autojump_clock.current_time()
        await settled(house)

        assert guest.codes == [4430]
        assert given_up_s >= ReactorLimits().stall_s
        assert autojump_clock.current_time() >= given_up_s + ReactorLimits().close_s


async def test_too_many_frames_a_second_end_the_session() -> None:
    limits = ReactorLimits(frames_per_s=10, frames_burst=20)
    async with housed(limits) as house, house.opened() as (phone, guest):
        await phone.raw(masked(b"1") * 20)
        await guest.heard.wait()

        await phone.raw(masked(b"2") * 20)

        assert await phone.close_code() == 4429
        assert guest.messages == [b"1"] * 20
        assert house.reactor.statistics().too_many == 1


async def test_who_keeps_to_the_rate_may_go_on(autojump_clock: trio.testing.MockClock) -> None:
    limits = ReactorLimits(frames_per_s=10, frames_burst=20)
    async with housed(limits) as house, house.opened() as (phone, guest):
        for _ in range(10):
            await phone.raw(masked(b"1") * 20)
            await trio.sleep(2)

        assert len(guest.messages) == 200
        assert autojump_clock.current_time() >= 20


async def test_one_address_has_only_so_many_sockets() -> None:
    async with housed(TIGHT) as house, house.opened(), house.opened():
        async with house.phone() as third:
            assert "503" in await third.head()

        assert len(house.guests) == 2


async def test_sockets_through_a_trusted_proxy_count_for_who_is_behind_it() -> None:
    limits = ReactorLimits(peer_sockets_max=1)
    async with housed(limits, proxies("127.0.0.1")) as house:
        async with (
            house.opened(x_forwarded_for="203.0.113.9"),
            house.opened(x_forwarded_for="203.0.113.9, 203.0.113.10"),
            house.opened(forwarded="for=203.0.113.11"),
            house.phone() as phone,
        ):
            await phone.raw(request("/v1/courier", x_forwarded_for="8.8.8.8, 203.0.113.9"))
            refused = await phone.head()
        await settled(house)
        async with house.opened(x_forwarded_for="203.0.113.9"):
            pass

    assert "503" in refused
    assert len(house.guests) == 4


async def test_nobody_counts_as_another_by_his_own_word() -> None:
    async with (
        housed(ReactorLimits(peer_sockets_max=1)) as house,
        house.opened(x_forwarded_for="203.0.113.9"),
        house.phone() as second,
    ):
        refused = await second.head()

    assert "503" in refused


async def test_a_place_that_is_left_is_free_again() -> None:
    async with housed(TIGHT) as house:
        for _ in range(5):
            async with house.opened() as (phone, _):
                await phone.raw(closed_with(1000))
                assert await phone.close_code() == 1000
            await settled(house)

        assert house.reactor.statistics().handshakes == 5


async def test_closing_all_says_goodbye_and_lets_nobody_in() -> None:
    async with housed() as house, house.opened() as (phone, guest), house.phone() as late:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.reactor.close_all, 1012, "restart")
            assert await phone.close_code() == 1012
            await phone.stream.aclose()
        await late.raw(request("/v1/courier"))

        assert guest.codes == [1012]
        assert house.reactor.statistics().sockets == 0
        assert await late.is_cut_off() or "503" in await late.head()


async def test_a_reactor_that_is_cancelled_tells_every_guest() -> None:
    async with housed() as house, house.opened() as (_, guest):
        guests = [guest]

    assert [guest.codes for guest in guests] == [[LOST]]


class Careless(Listener):
    """A guest with a fault of ours in it."""

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as the reactor calls it.
        super().received(payload, is_text)
        raise ZeroDivisionError


@asynccontextmanager
async def careless() -> AsyncGenerator[Phone]:
    reactor = Reactor({"/v1/courier": Careless})
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery, listener:
        nursery.start_soon(reactor.run)
        nursery.start_soon(accept, listener, reactor.adopt)
        address = ("127.0.0.1", listener.socket.getsockname()[1])
        async with await trio.open_tcp_stream(*address) as stream:
            yield Phone(stream)


async def test_a_fault_of_ours_is_not_swallowed() -> None:
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with careless() as phone:
            await phone.open()
            await phone.say(b"x")
            await trio.sleep_forever()


async def test_a_flood_on_one_socket_does_not_hold_up_another() -> None:
    limits = ReactorLimits(read_bytes=4096, frames_per_s=1e6, frames_burst=1_000_000)
    async with (
        housed(limits) as house,
        house.opened() as (loud, loud_guest),
        house.opened() as (quiet, _),
    ):
        flood = masked(b"f" * 60) * 10_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loud.raw, flood)
            await loud_guest.heard.wait()
            await quiet.say(b"me too", PING)
            assert await quiet.frame() == (PONG, b"me too")
            loud_count = len(loud_guest.messages)
            nursery.cancel_scope.cancel()

    assert loud_count < 10_000


async def test_many_are_sent_one_frame_while_some_of_them_leave() -> None:
    async with housed() as house:
        for _ in range(4):
            async with house.opened() as (phone, _):
                await phone.raw(closed_with(1000))
        async with house.opened() as (phone, _):
            frame = framed(b"news")

            sent = [guest.socket.send(frame) for guest in house.guests]

            assert sent[-1]
            assert await phone.frame() == (BINARY, b"news")


async def nuisance(house: House, chance: Random, frames: int) -> int:
    """Say whatever comes to mind until cut off; return how many frames were said."""
    async with house.phone() as phone:
        await phone.open()
        for said in range(frames):
            try:
                await phone.raw(nonsense(chance))
            except trio.BrokenResourceError:
                return said
    return frames


def nonsense(chance: Random) -> bytes:
    """A frame that is right, nearly right, or nothing of the kind."""
    frame = masked(chance.randbytes(chance.randrange(60)), chance.choice((1, 2, 2, 2, 9, 10)))
    if chance.random() < 0.1:
        place = chance.randrange(len(frame))
        return frame[:place] + chance.randbytes(chance.randrange(8))
    return frame


async def plagued(sessions: int, frames: int, seed: int) -> tuple[House, int]:
    """Have so many sessions send nonsense; return the house, and how many frames were sent."""
    chance, sent = Random(seed), 0
    limiter = trio.Semaphore(50)
    async with housed(ReactorLimits(frames_burst=10_000)) as house:

        async def one() -> None:
            nonlocal sent
            async with limiter:
                said = await nuisance(house, chance, frames)
            sent += said

        async with trio.open_nursery() as nursery:
            for _ in range(sessions):
                nursery.start_soon(one)
        await settled(house)
    return house, sent


def stuck(house: House) -> int:
    """How many guests were not told that it is over, or more than once."""
    return sum(len(guest.codes) != 1 for guest in house.guests)


async def test_nonsense_leaves_no_session_behind() -> None:
    house, _ = await plagued(40, 30, seed=7)

    assert stuck(house) == 0
    assert house.reactor.statistics().handshakes == 40
    assert house.reactor.statistics().faults > 5


@pytest.mark.slow
async def test_a_hundred_thousand_wrong_frames_leave_no_session_behind() -> None:
    house, sent = await plagued(6_000, 60, seed=11)
    seen = house.reactor.statistics()

    assert sent >= 100_000
    assert stuck(house) == 0
    assert seen.handshakes == 6_000
    assert seen.faults > 1_000
    house.guests.clear()
    gc.collect()
    assert [thing for thing in gc.get_objects() if isinstance(thing, Socket)] == []
