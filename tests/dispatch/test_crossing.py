"""A courier who leaves one shard for another is always in exactly one of them."""

from msgspec import structs

from dispatch import courier
from dispatch.courier import Courier, CourierCrossed, Cross, EndShift, Stage
from dispatch.ids import Instant, ShardId
from dispatch.invitation import Invite, Unclaimed
from dispatch.step import Accepted, Code, Record, Refused, Reply, Step, Tell, TellAcross
from tests.dispatch.builders import (
    COURIER,
    MARKET,
    NOW,
    OFFER,
    OTHER_SHARD,
    POLICY,
    SQUARE,
    a_courier,
    a_settling,
    a_shift,
    a_task,
    answers,
    engaged,
    later,
    refusals,
    sure,
)

CROSS = Cross(OTHER_SHARD, MARKET, SQUARE)


def heard(
    state: Courier | None, message: courier.Message, now: Instant = NOW
) -> Step[Courier | None]:
    return courier.step(state, message, now, POLICY)


def an_invite(state: Courier) -> Invite:
    return Invite(offer_id=OFFER, courier_id=COURIER, version=state.version, tasks=(a_task(),))


def test_who_crosses_is_gone_here_and_tells_himself_there_in_one_step() -> None:
    before = a_courier()

    step = heard(before, CROSS, later(10))

    gone = sure(step.state)
    settling = structs.replace(a_settling(1), version=before.version + 1)
    assert (gone.stage, gone.shard, gone.crossings) == (Stage.GONE, OTHER_SHARD, 1)
    assert step.effects == (
        Record(CourierCrossed(courier_id=COURIER, shard=OTHER_SHARD, crossings=1, at=later(10))),
        TellAcross("courier", COURIER, settling, OTHER_SHARD),
        Reply(Accepted()),
    )


def test_who_settles_goes_on_with_his_shift_there() -> None:
    step = heard(None, a_settling(1), later(10))

    here = sure(step.state)
    assert (here.stage, here.ends_at, here.point) == (Stage.ON, later(3_600), SQUARE)
    assert courier.wakes_at(here) == later(3_600) + 1
    assert answers(step.effects) == (Accepted(),)


def test_nobody_crosses_with_work_in_hand() -> None:
    busy = sure(engaged(a_courier(), a_task()).state)
    asked = sure(heard(a_courier(), an_invite(a_courier())).state)

    refused = [refusals(heard(state, CROSS).effects) for state in (busy, asked)]

    assert refused == [(Code.NOT_LEGAL_NOW,)] * 2


def test_whoever_asks_for_him_where_he_was_is_told_where_he_went() -> None:
    gone = sure(heard(a_courier(), CROSS).state)

    told = [heard(gone, message).effects for message in (EndShift(), a_shift())]
    elsewhere = heard(gone, Cross(ShardId(3), MARKET, SQUARE)).effects

    assert told == [(Reply(Refused(Code.MOVED, "2")),)] * 2
    assert elsewhere == (Reply(Refused(Code.MOVED, "2")),)


def test_an_invitation_that_comes_after_him_is_turned_down() -> None:
    gone = sure(heard(a_courier(), CROSS).state)

    step = heard(gone, an_invite(gone))

    assert step == Step(gone, (Tell("offer", OFFER, Unclaimed(COURIER)),))


def test_an_old_settling_that_was_long_on_its_way_is_passed_over() -> None:
    there = sure(heard(None, a_settling(1)).state)
    left = sure(heard(there, CROSS).state)

    late = heard(left, a_settling(1))

    assert late == Step(left, (Reply(Accepted()),))


def test_he_may_come_back_and_his_version_never_falls() -> None:
    gone = sure(heard(a_courier(), CROSS).state)

    back = sure(heard(gone, a_settling(2, version=0)).state)

    assert (back.stage, back.shard) == (Stage.ON, None)
    assert back.version > gone.version


def test_who_is_at_work_here_already_only_counts_the_crossing() -> None:
    working = a_courier()

    step = heard(working, a_settling(4))

    assert step.state == structs.replace(working, crossings=4)
    assert refusals(step.effects) == ()


def test_who_ended_his_shift_there_can_start_one_here() -> None:
    gone = sure(heard(a_courier(), CROSS).state)

    step = heard(gone, a_shift(crossings=1))

    here = sure(step.state)
    assert (here.stage, here.shard, here.crossings) == (Stage.ON, None, 1)
    assert answers(step.effects) == (Accepted(),)


def test_a_start_from_before_he_left_does_not_bring_him_back() -> None:
    gone = sure(heard(a_courier(), CROSS).state)
    here = sure(heard(gone, a_shift(crossings=1)).state)
    gone_again = sure(heard(here, CROSS).state)

    step = heard(gone_again, a_shift(crossings=1))

    assert step.state is gone_again
    assert refusals(step.effects) == (Code.MOVED,)


def test_who_starts_here_and_crosses_is_taken_in_where_he_was_before() -> None:
    ended_there = sure(heard(sure(heard(None, a_settling(4)).state), EndShift()).state)
    here = sure(heard(None, a_shift(crossings=4)).state)

    gone = sure(heard(here, CROSS).state)
    there = sure(heard(ended_there, a_settling(gone.crossings)).state)

    assert (ended_there.stage, there.stage) == (Stage.OFF, Stage.ON)


def test_what_he_has_done_in_his_shift_goes_with_him() -> None:
    counted = sure(heard(None, structs.replace(a_shift(), is_counted=True)).state)
    worked = structs.replace(sure(counted.work), delivered=4, worked_ms=90_000)

    step = heard(structs.replace(counted, work=worked), CROSS, later(10))

    (settling,) = [one.message for one in step.effects if isinstance(one, TellAcross)]
    assert isinstance(settling, courier.Settle)
    assert sure(heard(None, settling, later(11)).state).work == worked
