"""A courier's session: acts that count once, a feed that waits for room, and how it ends."""
# ruff: noqa: ARG001 - a clock that jumps works as an argument only.

import gc
import tracemalloc
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from trio.testing import MockClock

from actors.failures import ActorFailed
from api.attendance import RENEW_S
from api.courier_session import ACTS_MAX, GAP_S
from dispatch import courier, offer
from dispatch.ids import CourierId, DeviceId, Instant, OfferId, OrderId, ShardId
from dispatch.step import Accepted, Code, Refused
from geo.ping import Ping, Track
from storage.acts import Home, Outcome
from tests.api.devices import (
    ANN,
    BEGAN_AT,
    PHONE,
    SHARD,
    Bench,
    Device,
    FakeSocket,
    Known,
    Script,
    at_work,
    refusing,
)
from wire.frames import (
    Ack,
    Act,
    Arrive,
    Beat,
    CloseCode,
    Collect,
    Decline,
    Deliver,
    Done,
    Message,
    Pause,
    Pings,
    Problem,
    Resume,
    StartShift,
    Take,
)

SESSION_BYTES_MAX = 1_152
PING = Ping(55.0, 12.0, 4.0, BEGAN_AT)
TAKE = Take(offer_id=OfferId("off_1"))


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_an_act_is_answered_once_it_counted(autojump_clock: MockClock) -> None:
    async with at_work(Bench(script=Script(takes_s=1.0))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        await trio.sleep(0.99)
        early = ann.done()
        await trio.sleep(0.02)

    assert early == []
    assert ann.done() == [Done(counter=1)]
    assert bench.script.asked == [("offer", "off_1", offer.Take(ANN))]


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        (Decline(offer_id=OfferId("off_1")), ("offer", "off_1", offer.Decline(ANN))),
        (Pause(), ("courier", ANN, courier.Pause())),
        (
            Arrive(order_id=OrderId("ord_1")),
            ("courier", ANN, courier.Arrive(order_id=OrderId("ord_1"))),
        ),
        (
            Collect(order_ids=(OrderId("b"), OrderId("a"), OrderId("b"))),
            ("courier", ANN, courier.Collect((OrderId("b"), OrderId("a")))),
        ),
        (
            Deliver(order_id=OrderId("a"), left_at_door=True),
            ("courier", ANN, courier.Deliver(OrderId("a"), left_at_door=True)),
        ),
    ],
)
async def test_each_act_reaches_whom_it_is_for(
    action: object, asked: tuple[str, str, Struct]
) -> None:
    async with at_work(Bench()) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, action)  # pyright: ignore[reportArgumentType]
        await settled()

    assert bench.script.asked == [asked]


async def test_a_refusal_is_told_and_kept() -> None:
    async with at_work(Bench(script=Script(answer=refusing(Code.OFFER_LAPSED)))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        await settled()
        bench.script.answer = lambda _message: Accepted()
        ann.act(1, TAKE)
        await settled()

    assert ann.done() == [Done(counter=1, code=Code.OFFER_LAPSED)] * 2
    assert len(bench.script.asked) == 1


async def test_what_is_anothers_is_told_as_what_does_not_exist() -> None:
    async with at_work(Bench(script=Script(answer=refusing(Code.NOT_YOURS)))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        await settled()

    assert [done.code for done in ann.done()] == [Code.NOT_FOUND]


async def test_an_actor_that_fails_has_changed_nothing() -> None:
    def fail(message: Struct) -> Accepted:
        raise ActorFailed(message)

    async with at_work(Bench(script=Script(answer=fail))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        await settled()

    assert [done.code for done in ann.done()] == [Code.FAILED]


async def test_acts_are_carried_out_in_their_order_however_they_come(
    autojump_clock: MockClock,
) -> None:
    async with at_work(Bench(script=Script(takes_s=0.1))) as bench:
        ann = Device(bench)
        await ann.greet()
        for counter in (3, 2, 4, 1):
            ann.act(counter, Deliver(order_id=OrderId(f"ord_{counter}")))
        await trio.sleep(1)

    assert [done.counter for done in ann.done()] == [1, 2, 3, 4]
    delivered = [message.order_id for _, _, message in bench.script.asked]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    assert delivered == ["ord_1", "ord_2", "ord_3", "ord_4"]


async def test_a_missing_act_is_waited_for_and_comes_too_late_after_that(
    autojump_clock: MockClock,
) -> None:
    async with at_work(Bench()) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(2, Resume())
        await trio.sleep(GAP_S - 0.1)
        waiting = ann.done()
        ann.say(Beat())
        await trio.sleep(0.2)
        ann.act(1, Pause())
        await settled()

    assert waiting == []
    assert [(done.counter, done.code) for done in ann.done()] == [
        (2, None),
        (1, Code.NOT_LEGAL_NOW),
    ]
    assert [message for _, _, message in bench.script.asked] == [courier.Resume()]


async def test_an_act_that_finds_nobody_is_tried_until_it_counts(
    autojump_clock: MockClock,
) -> None:
    async with at_work(Bench(script=Script(away=4))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        await trio.sleep(5)

    assert ann.done() == [Done(counter=1)]
    assert bench.desk.totals.retried == 4


async def test_an_act_is_not_tried_again_once_its_device_has_done_later_ones_elsewhere(
    autojump_clock: MockClock,
) -> None:
    here = Bench(script=Script(away=1))
    elsewhere = Bench(acts=here.acts)
    async with at_work(here), at_work(elsewhere):
        first, second = Device(here), Device(elsewhere)
        await first.greet()
        first.act(1, Pause())
        await settled()
        await second.greet()
        second.act(1, Pause())
        second.act(2, Resume())
        await trio.sleep(2)

    assert here.script.asked == []
    assert [message for _, _, message in elsewhere.script.asked] == [
        courier.Pause(),
        courier.Resume(),
    ]


async def test_a_courier_who_moved_on_is_asked_where_he_is_now() -> None:
    async with at_work(Bench()) as bench:
        ann = Device(bench)
        await ann.greet()
        bench.acts.places[ANN] = Home(ShardId(8), is_on_shift=True)
        bench.script.answer = _moved_once(bench)
        ann.act(1, Pause())
        await settled()

    assert ann.done() == [Done(counter=1)]
    assert ann.session.home == Home(ShardId(8), is_on_shift=True)
    assert len(bench.script.asked) == 2


def _moved_once(bench: Bench):  # noqa: ANN202
    def answer(message: Struct) -> Accepted | Refused:
        del message
        return Refused(Code.MOVED, "8") if len(bench.script.asked) == 1 else Accepted()

    return answer


async def test_nobody_acts_before_his_first_shift() -> None:
    async with at_work(Bench()) as bench:
        del bench.acts.places[ANN]
        ann = Device(bench)
        await ann.greet()
        ann.act(1, Pause())
        await settled()

    assert [done.code for done in ann.done()] == [Code.NOT_LEGAL_NOW]
    assert bench.script.asked == []


async def test_a_shift_where_no_market_is_cannot_begin() -> None:
    async with at_work(Bench()) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, StartShift(lat=0.0, lng=0.0, ends_at=Instant(BEGAN_AT + 1)))
        await settled()

    assert [done.code for done in ann.done()] == [Code.INVALID]


async def test_a_device_with_too_many_acts_in_hand_is_cut_off() -> None:
    async with at_work(Bench(script=Script(away=1_000_000))) as bench:
        ann = Device(bench)
        await ann.greet()
        for counter in range(1, ACTS_MAX + 2):
            ann.session._note(_an_act(counter))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    assert ann.socket.code == CloseCode.TOO_MANY
    assert ann.heard(Problem)[-1].code is Code.RATE_LIMITED


def _an_act(counter: int) -> Act:
    return Act(counter=counter, at=Instant(BEGAN_AT), action=Pause())


async def test_pings_go_to_the_shard_of_a_courier_on_shift_and_nowhere_else(
    autojump_clock: MockClock,
) -> None:
    off = CourierId("crr_off")
    async with at_work(Bench()) as bench:
        bench.acts.places[off] = Home(SHARD, is_on_shift=False)
        ann, bob = Device(bench), Device(bench)
        await ann.greet()
        await bob.greet(off)
        for _ in range(2):
            ann.say(Pings(pings=(PING, PING)))
            bob.say(Pings(pings=(PING,)))
        await trio.sleep(0.1)

    assert bench.script.taken == [(SHARD, Track(ANN, (PING, PING)))] * 2
    assert bench.desk.totals.pings_ignored == 2


async def test_who_is_unknown_is_turned_away_and_told_why() -> None:
    async with at_work(Bench()) as bench:
        stranger = Device(bench)
        stranger.say({"type": "hello", "token": "nobody", "device_id": "d"})
        await settled()

    assert stranger.socket.code == CloseCode.UNAUTHENTICATED
    assert [problem.code for problem in stranger.heard(Problem)] == [Code.UNAUTHENTICATED]
    assert bench.desk.roster.count() == 0


async def test_a_session_ends_with_its_token(autojump_clock: MockClock) -> None:
    async with at_work(Bench(known=Known(expires_at=BEGAN_AT + 3_000))) as bench:
        ann = Device(bench)
        await ann.greet()
        await trio.sleep(3)
        ann.session.look(bench.desk.edge.now())

    assert ann.socket.code == CloseCode.UNAUTHENTICATED


async def test_a_session_ends_when_its_courier_signs_out() -> None:
    known = Known()
    async with at_work(Bench(known=known)) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.session.look(bench.desk.edge.now())
        was_open = ann.socket.code is None
        known.ended.add(f"sid_{ANN}")
        ann.session.look(bench.desk.edge.now())

    assert was_open
    assert ann.socket.code == CloseCode.UNAUTHENTICATED


async def test_a_device_has_one_session_and_a_courier_may_have_several_devices() -> None:
    async with at_work(Bench()) as bench:
        phone, tablet, again = Device(bench), Device(bench, DeviceId("dev_tablet")), Device(bench)
        await phone.greet()
        await tablet.greet()
        await again.greet()

    assert phone.socket.code == CloseCode.REPLACED
    assert (tablet.socket.code, again.socket.code) == (None, None)
    assert bench.desk.roster.count() == 2


async def test_a_feed_waits_for_room_and_leaves_nothing_out() -> None:
    async with at_work(Bench()) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.socket.room = 2
        for number in range(1, 6):
            bench.feeds.publish(ANN, number, courier.OfferGone(OfferId(f"off_{number}")))
        before = [frame.message_id for frame in ann.heard(Message)]
        ann.socket.room = 100
        ann.session.drained()

    assert before == [1, 2]
    assert [frame.message_id for frame in ann.heard(Message)] == [1, 2, 3, 4, 5]


async def test_a_device_resumes_after_the_message_it_saw_last() -> None:
    async with at_work(Bench()) as bench:
        for number in range(1, 4):
            bench.feeds.publish(ANN, number, courier.OfferGone(OfferId(f"off_{number}")))
        ann = Device(bench)
        welcome = await ann.greet(last_message_id=2)

    assert welcome.last_message_id == 2
    assert [frame.message_id for frame in ann.heard(Message)] == [3]


async def test_only_the_highest_acknowledgement_of_a_device_counts() -> None:
    async with at_work(Bench()) as bench:
        ann = Device(bench)
        ann.say({"type": "ack", "message_id": 9})
        ann = Device(bench)
        await ann.greet()
        for number in (3, 7, 5):
            ann.say(Ack(message_id=number))

    assert bench.desk.seen.waiting == {(ANN, PHONE): 7}


async def test_an_act_that_was_under_way_counts_though_its_session_has_ended(
    autojump_clock: MockClock,
) -> None:
    async with at_work(Bench(script=Script(takes_s=1.0))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        ann.act(2, TAKE)
        await trio.sleep(0.5)
        ann.hang_up()
        await trio.sleep(5)

    assert ann.done() == []
    assert bench.acts.kept == {(ANN, PHONE, 1): Outcome()}


async def test_a_session_that_ended_has_left_nothing_behind() -> None:
    async with at_work(Bench(script=Script(away=100))) as bench:
        ann = Device(bench)
        await ann.greet()
        ann.act(1, TAKE)
        await settled()
        ann.hang_up()
        ann.hang_up()

    assert bench.desk.roster.count() == bench.desk.attendances.count() == 0
    assert bench.feeds.followers == []
    assert ann.session.waiting_count() == 0


ACTS = 6
STEPS = st.one_of(
    st.tuples(st.just("act"), st.integers(1, ACTS)),
    st.tuples(st.just("connect"), st.integers(0, 1)),
    st.tuples(st.just("away"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.1, 1.0, 6.0])),
)


@given(steps=st.lists(STEPS, max_size=30))
def test_acts_that_come_twice_late_and_in_any_order_count_once_and_in_order(
    steps: Sequence[tuple[str, float]],
) -> None:
    done, delivered = trio.run(_played, steps, clock=MockClock(autojump_threshold=0))

    by_counter = {counter: {one for one in done if one.counter == counter} for counter in COUNTERS}
    assert {len(told) for told in by_counter.values()} == {1}
    assert delivered == sorted(delivered)  # Perhaps twice, but never after a later one.
    counted = {one.counter for one in done if one.code is None}
    refused = {one.counter for one in done if one.code is Code.NOT_AT_STOP}
    assert set(delivered) == counted | refused
    assert all(counter % 2 for counter in counted)


COUNTERS = range(1, ACTS + 1)


async def _played(steps: Sequence[tuple[str, float]]) -> tuple[list[Done], list[int]]:
    """Lead a device over two nodes; return all it was told, and what the actor was asked."""
    here = Bench(script=Script(answer=_by_parity, takes_s=0.1))
    there = Bench(acts=here.acts, script=here.script)
    devices = [Device(here)]
    async with at_work(here), at_work(there):
        await devices[-1].greet()
        for step, what in steps:
            await _stepped(devices, (here, there), step, what)
        await _stepped(devices, (here, there), "connect", 0)
        for counter in COUNTERS:
            devices[-1].act(counter, _delivery(counter))
            await trio.sleep(10)
    done = [one for device in devices for one in device.done()]
    return done, [int(message.order_id) for _, _, message in here.script.asked]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]


async def _stepped(
    devices: list[Device], benches: tuple[Bench, Bench], step: str, what: float
) -> None:
    match step:
        case "act":
            devices[-1].act(int(what), _delivery(int(what)))
            await trio.sleep(0.05)  # Half of what it takes: the next step finds it under way.
        case "connect":
            devices[-1].hang_up()
            devices.append(Device(benches[int(what)]))
            await devices[-1].greet()
        case "away":
            benches[0].script.away = int(what)
        case _:
            await trio.sleep(what)


def _delivery(counter: int) -> Deliver:
    return Deliver(order_id=OrderId(str(counter)))


def _by_parity(message: Struct) -> Accepted | Refused:
    assert isinstance(message, courier.Deliver)
    return Accepted() if int(message.order_id) % 2 else Refused(Code.NOT_AT_STOP)


async def test_a_courier_is_present_while_he_has_a_session(autojump_clock: MockClock) -> None:
    async with at_work(Bench()) as bench, trio.open_nursery() as nursery:
        nursery.start_soon(bench.desk.attendances.run)
        ann = Device(bench)
        await ann.greet()
        await trio.sleep(RENEW_S + 0.05)
        ann.hang_up()
        await trio.sleep(RENEW_S)
        nursery.cancel_scope.cancel()

    assert bench.presence.told == [("arrived", ANN), ("renewed", ANN), ("left", ANN)]


async def test_an_idle_session_takes_little_more_than_a_kibibyte() -> None:
    count = 300
    async with at_work(Bench()) as bench:
        sockets = [FakeSocket() for _ in range(count)]
        for socket in sockets:
            socket.frames.append(Beat())
            socket.frames.clear()
        tracemalloc.start()
        before_bytes, _ = tracemalloc.get_traced_memory()
        for number, socket in enumerate(sockets):
            await Device(bench, DeviceId(f"dev_{number:026}"), socket).greet(f"crr_{number:026}")
            socket.frames.clear()
        await bench.desk.attendances.tell()
        bench.presence.told.clear()
        gc.collect()
        after_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert bench.desk.roster.count() == bench.desk.attendances.count() == count
    assert (after_bytes - before_bytes) / count < SESSION_BYTES_MAX
