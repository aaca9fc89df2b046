"""Decisions in words: what a courier reads, and what operations read."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from dispatch.decision import Option, OrderDecided, Reason, Terms, Verdict
from dispatch.ids import CourierId, Instant
from dispatch.sentences import to_courier, to_operations
from tests.dispatch.builders import COURIER, NOW, ORDER, OTHER_COURIER, RESTAURANT

THIRD = CourierId("crr_3")


def clock(instant: Instant) -> str:
    return f"{datetime.fromtimestamp(instant / 1_000, UTC):%H:%M}"


def option(courier_id: CourierId, arrival_s: float, delay_s: float) -> Option:
    return Option(
        courier_id=courier_id,
        terms=Terms(delay_s=delay_s, work_s=10.0),
        arrival_s=arrival_s,
        picked_up_s=arrival_s + 60,
        dropped_off_s=arrival_s + 700,
        ahead=0,
    )


DECIDED = OrderDecided(
    order_id=ORDER,
    restaurant_id=RESTAURANT,
    number=12,
    at=NOW,
    verdict=Verdict.SENT,
    reason=Reason.IN_TIME,
    courier_id=COURIER,
    held_by=None,
    placed_s=-600,
    ready_s=300,
    chosen=option(COURIER, 240, 30),
    others=(option(OTHER_COURIER, 400, 110), option(THIRD, 900, 600)),
    leave_out_s=52_000,
    orders=64,
    couriers=41,
    solver="insert",
    policy="abc",
)


def told(**changes: object) -> str:
    return to_courier(structs.replace(DECIDED, **changes), COURIER, "Napoli Oven", clock)


def test_who_is_sent_is_told_how_far_when_and_why_he() -> None:
    assert told() == (
        "You are 4 minutes from Napoli Oven; the food is ready at 08:05, "
        "and nobody else can be there sooner."
    )


def test_who_is_there_already_is_told_so_and_food_that_waits_is_ready() -> None:
    said = told(chosen=option(COURIER, 10, 0), ready_s=-60, reason=Reason.AT_ONCE)

    assert said.startswith("You are at Napoli Oven; the food is ready, and")


def test_nobody_is_told_that_he_is_the_first_when_others_are_nearer() -> None:
    said = told(sooner=2)

    assert "nobody else" not in said
    assert "all orders come soonest" in said


def test_who_fetches_food_there_anyway_is_told_only_of_the_food() -> None:
    said = told(verdict=Verdict.JOINED, reason=Reason.ON_HIS_WAY)

    assert said == (
        "You fetch food at Napoli Oven anyway; for this order the food is ready at 08:05."
    )


@pytest.mark.parametrize("reason", [Reason.CHEAPER, Reason.IMPOSSIBLE])
@pytest.mark.parametrize("verdict", [Verdict.MOVED, Verdict.TAKEN_BACK])
def test_who_loses_an_order_is_told_that_it_does_not_count_against_him(
    verdict: Verdict, reason: Reason
) -> None:
    said = told(verdict=verdict, reason=reason, held_by=COURIER, courier_id=OTHER_COURIER)

    assert said.startswith("You need not fetch this order at Napoli Oven:")
    assert said.endswith("It does not count against you.")


def test_who_is_only_planned_for_it_has_nothing_to_do_now() -> None:
    assert "nothing is to be done now" in told(verdict=Verdict.TAKEN_BACK, held_by=COURIER)


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("reader", [COURIER, OTHER_COURIER])
def test_a_courier_never_reads_of_another_one(
    verdict: Verdict, reason: Reason, reader: CourierId
) -> None:
    decided = structs.replace(
        DECIDED, verdict=verdict, reason=reason, held_by=OTHER_COURIER, cut="late", sooner=1
    )

    said = to_courier(decided, reader, "Napoli Oven", clock)

    assert "crr_" not in said
    assert said.endswith(".")


def test_operations_read_what_it_costs_and_what_was_next_best() -> None:
    assert to_operations(DECIDED, clock) == (
        "Round 12 at 08:00, 64 orders and 41 couriers: crr_1 is sent now; "
        "who leaves now is there as the food is ready. "
        "There 08:04, food ready 08:05, picked up 08:05, at the door 08:15. "
        "It costs 40 s. Next best: crr_2, +80 s. To leave it for later would cost 52,000 s."
    )


def test_operations_read_what_a_move_saves_and_that_a_plan_was_cut_short() -> None:
    moved = structs.replace(
        DECIDED,
        verdict=Verdict.MOVED,
        reason=Reason.CHEAPER,
        held_by=OTHER_COURIER,
        saves_s=80.0,
        cut="the solver was late",
    )

    said = to_operations(moved, clock)

    assert "it moves from crr_2 to crr_1; the whole plan costs less so." in said
    assert "Against crr_2 that saves 80 s." in said
    assert said.endswith("The plan was cut short: the solver was late.")


def test_operations_read_that_nobody_was_found() -> None:
    alone = structs.replace(
        DECIDED,
        verdict=Verdict.KEPT_WAITING,
        reason=Reason.NOBODY,
        courier_id=None,
        chosen=None,
        others=(),
    )

    assert "nobody was found who could bring it" in to_operations(alone, clock)
