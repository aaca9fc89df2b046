"""Why this courier and why now: what a round says for its decisions."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from dispatch.decision import OTHERS_MAX, OrderDecided, Reason, Verdict
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.construction import insert
from dispatch.matching.departures import Decisions, Departure, Join, decisions
from dispatch.matching.explain import Circumstances, Explained, explained, findings
from dispatch.matching.plan import Plan
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import FreeCourier, OpenOrder, snapshot
from dispatch.matching.survey import Survey
from dispatch.policy import Policy, version
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    courier,
    matching,
    order,
    planned,
    street,
)

C1, C2, C3 = CourierId("c1"), CourierId("c2"), CourierId("c3")
NOW = Instant(36_000_000)
A_MINUTE_AGO = Instant(NOW - 60_000)


def asked(
    orders: Sequence[OpenOrder],
    couriers: Sequence[FreeCourier],
    policy: Policy = POLICY,
    *,
    since: Instant = A_MINUTE_AGO,
) -> Circumstances:
    """A round on the street, a minute after the last one."""
    named = {one.restaurant_id for one in orders} | {one.bound for one in couriers if one.bound}
    survey = Survey(
        at=NOW,
        restaurants={one: (float(one[1:]), 0.0) for one in sorted(named)},
        orders=tuple(orders),
        couriers=tuple(couriers),
        asked=(),
        tasks={},
        order_versions={},
        courier_versions={},
    )
    return Circumstances(
        number=7,
        survey=survey,
        demand={},
        policy=policy,
        travel=STREET,
        solver="insert",
        since=since,
    )


def departing(courier_id: CourierId, at: int, *orders: int) -> Decisions:
    return Decisions(
        departures=(
            Departure(
                courier_id=courier_id,
                restaurant_id=RestaurantId(f"r{at}"),
                order_ids=tuple(OrderId(f"o{one}") for one in orders),
            ),
        )
    )


def only(found: Explained) -> OrderDecided:
    (one,) = found.decided
    return one


def test_who_is_sent_is_told_with_the_next_best_and_the_price_of_waiting() -> None:
    orders = [order(1, at=100, to=400)]
    couriers = [courier(1, at=0), courier(2, at=1_000), courier(3, at=2_000)]

    found = only(
        explained(asked(orders, couriers), planned({"c1": [(100, [1])]}), departing(C1, 100, 1))
    )

    assert (found.verdict, found.reason, found.courier_id) == (Verdict.SENT, Reason.AT_ONCE, C1)
    assert found.chosen is not None
    assert (found.chosen.arrival_s, found.chosen.picked_up_s) == (100, 160)
    assert [one.courier_id for one in found.others] == [C2, C3]
    assert found.chosen.terms.total_s < found.others[0].terms.total_s < found.leave_out_s
    assert (found.number, found.at, found.orders, found.couriers) == (7, NOW, 1, 3)
    assert (found.solver, found.policy) == ("insert", version(POLICY))
    assert found.sooner == 0


def test_who_is_there_as_the_food_is_ready_is_sent_in_time() -> None:
    known = asked([order(1, at=100, to=400, ready_s=170)], [courier(1, at=0)])

    found = only(explained(known, planned({"c1": [(100, [1])]}), departing(C1, 100, 1)))

    assert found.reason is Reason.IN_TIME
    assert found.ready_s == 170


def test_an_option_costs_what_the_plan_costs_more_with_it() -> None:
    priced = matching(work_price=0.5, end_price=0.3, switch_price_s=40)
    orders = [order(1, at=100, to=400), order(2, at=100, to=900), order(3, at=700, to=50)]
    couriers = [courier(1, at=0), structs.replace(courier(2, at=300), order_price_s=-20.0)]
    plan = planned({"c1": [(100, [1, 2])], "c2": [(700, [3])]})

    found = explained(asked(orders, couriers, priced), plan, departing(C1, 100, 1, 2))

    p = problem(street(orders, couriers), STREET, priced)
    chosen = found.decided[0].chosen
    assert chosen is not None
    assert chosen.terms.total_s == pytest.approx(cost_s(p, 0, [[0, 1]]) - cost_s(p, 0, [[1]]))
    (other,) = found.decided[0].others
    slots = [[[0], [2]], [[2], [0]]]
    best_s = min(cost_s(p, 1, trips) for trips in slots) - cost_s(p, 1, [[2]])
    assert other.terms.total_s == pytest.approx(best_s)
    assert other.terms.fairness_s == -20.0


def test_an_order_that_joins_a_trip_is_told_so() -> None:
    orders = [order(1, at=100, to=400, held_by="c1"), order(2, at=100, to=500)]
    known = asked(orders, [courier(1, at=100, free_s=-5, is_bound=True), courier(2, at=90)])
    ids = (OrderId("o1"), OrderId("o2"))
    join = Join(courier_id=C1, restaurant_id=RestaurantId("r100"), order_ids=ids, joining=ids[1:])

    found = only(explained(known, planned({"c1": [(100, [1, 2])]}), Decisions(joins=(join,))))

    assert (found.order_id, found.verdict, found.reason) == (
        "o2",
        Verdict.JOINED,
        Reason.ON_HIS_WAY,
    )


def test_an_order_that_is_moved_tells_what_that_saves() -> None:
    orders = [order(1, at=100, to=400, held_by="c2")]
    known = asked(orders, [courier(1, at=90), courier(2, at=2_000)])
    decided = structs.replace(departing(C1, 100, 1), leaving=(OrderId("o1"),))

    found = only(explained(known, planned({"c1": [(100, [1])]}), decided))

    assert (found.verdict, found.reason) == (Verdict.MOVED, Reason.CHEAPER)
    assert (found.held_by, found.courier_id) == (C2, C1)
    assert found.chosen is not None
    assert [one.courier_id for one in found.others] == [C2]
    assert found.saves_s == found.others[0].terms.total_s - found.chosen.terms.total_s > 0


def test_an_order_whose_courier_cannot_bring_it_any_more_is_taken_back_for_that() -> None:
    orders = [order(1, at=100, to=400, held_by="c2")]
    known = asked(orders, [courier(1, at=90, free_s=900), courier(2, at=2_000, off_s=60)])
    decided = Decisions(leaving=(OrderId("o1"),))

    found = only(explained(known, planned({"c1": [(100, [1])]}), decided))

    assert (found.verdict, found.reason, found.courier_id) == (
        Verdict.TAKEN_BACK,
        Reason.IMPOSSIBLE,
        C1,
    )
    assert found.saves_s == 0


def test_food_that_waits_is_told_of_once_in_a_while() -> None:
    policy = POLICY.evolve(waiting_told_s=300.0)
    plan = planned({"c1": [(100, [1])]})
    who = courier(1, at=0, free_s=500)

    told = {
        ready_s: [one.what for one in findings(asked([late], [who], policy), plan, Decisions())]
        for ready_s in (-299, -300, -359, -360, -599, -600, -3_000)
        for late in [order(1, at=100, to=9, ready_s=ready_s)]
    }

    assert [ready_s for ready_s, what in told.items() if what] == [-300, -359, -600, -3_000]
    assert told[-300] == [Verdict.KEPT_WAITING]


def test_food_waits_for_somebody_who_is_busy_or_for_nobody_at_all() -> None:
    late = order(1, at=100, to=9, ready_s=-300)

    busy = explained(
        asked([late], [courier(1, at=0, free_s=500)]), planned({"c1": [(100, [1])]}), Decisions()
    )
    nobody = explained(asked([late], [courier(1, at=0, off_s=50)]), Plan(), Decisions())

    assert only(busy).reason is Reason.BUSY
    assert (only(nobody).reason, only(nobody).chosen) == (Reason.NOBODY, None)
    assert only(nobody).others == ()


def test_those_who_could_be_there_sooner_are_counted_whatever_else_they_do() -> None:
    orders = [order(1, at=100, to=400), order(2, at=90, to=9_000)]
    known = asked(orders, [courier(1, at=0), courier(2, at=90), courier(3, at=95, free_s=500)])
    plan = planned({"c1": [(100, [1])], "c2": [(90, [2])]})

    found = only(explained(known, plan, departing(C1, 100, 1)))

    assert found.sooner == 1


def test_a_round_keeps_so_many_decisions_and_counts_the_rest() -> None:
    orders = [order(one, at=100, to=400) for one in range(3)]
    known = asked(orders, [courier(1, at=0)], POLICY.evolve(explained_max=2))
    plan, decided = planned({"c1": [(100, [0, 1, 2])]}), departing(C1, 100, 0, 1, 2)

    some = explained(known, plan, decided)
    none = explained(asked(orders, [], POLICY.evolve(explained_max=0)), plan, decided)

    assert ([one.order_id for one in some.decided], some.left) == (["o0", "o1"], 1)
    assert (none.decided, none.left) == ((), 3)


def test_not_more_than_a_few_of_many_others_are_kept() -> None:
    couriers = [courier(one, at=10 * one) for one in range(12)]
    known = asked([order(1, at=0, to=400)], couriers)

    found = only(explained(known, planned({"c0": [(0, [1])]}), departing(CourierId("c0"), 0, 1)))

    assert [one.courier_id for one in found.others] == [f"c{one}" for one in range(1, 6)]
    assert len(found.others) == OTHERS_MAX


def test_a_decision_says_of_a_plan_what_the_plan_does() -> None:
    orders = [order(one, at=100 * (one % 3), to=1_000 - 90 * one) for one in range(8)]
    couriers = [courier(one, at=300 * one) for one in range(4)]
    known = asked(orders, couriers)
    survey = known.survey
    seen = snapshot(NOW, survey.restaurants, orders, couriers)
    plan = insert(seen, None, POLICY, STREET)

    found = explained(known, plan, decisions(seen, plan, POLICY, STREET))

    assert found.decided
    for one in found.decided:
        assert one.courier_id is not None
        assert any(one.order_id in trip.order_ids for trip in plan.trips[one.courier_id][:1])
        assert one.chosen is not None
        assert one.chosen.courier_id == one.courier_id
        assert all(other.courier_id != one.courier_id for other in one.others)
