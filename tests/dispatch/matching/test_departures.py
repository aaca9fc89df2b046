"""What of a plan has to be told now, and what may stay a plan until the next round."""

from dispatch.matching.departures import Departure, Join, decisions
from dispatch.matching.plan import Plan
from dispatch.matching.snapshot import Snapshot
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    courier,
    matching,
    order,
    planned,
    street,
)


def decided(known: Snapshot, plan: Plan) -> tuple[list[str], list[str], list[str]]:
    """Who departs, whom orders join, and which orders leave."""
    told = decisions(known, plan, POLICY, STREET)
    return (
        [one.courier_id for one in told.departures],
        [one.courier_id for one in told.joins],
        list(told.leaving),
    )


def test_a_courier_sets_out_in_the_last_round_that_brings_him_there_in_time() -> None:
    plan = planned({"c1": [(100, [1])]})
    just_in_time_s = 100 + POLICY.pickup_s / 2

    for round_s, departs in ((0, []), (1, ["c1"]), (59, ["c1"])):
        ready_s = just_in_time_s + POLICY.round_s - round_s
        known = street([order(1, at=100, to=0, ready_s=ready_s)], [courier(1, at=0)])
        assert decided(known, plan)[0] == departs


def test_a_departure_names_the_trip_as_it_is_planned() -> None:
    known = street([order(1, at=100, to=0), order(2, at=100, to=50)], [courier(1, at=0)])

    told = decisions(known, planned({"c1": [(100, [2, 1])]}), POLICY, STREET)

    trip = planned({"c1": [(100, [2, 1])]}).trips[known.courier_ids[0]][0]
    assert told.departures == (
        Departure(
            courier_id=known.courier_ids[0],
            restaurant_id=trip.restaurant_id,
            order_ids=trip.order_ids,
        ),
    )


def test_a_slack_sends_couriers_out_earlier() -> None:
    known = street([order(1, at=100, to=0, ready_s=400)], [courier(1, at=0)])
    plan = planned({"c1": [(100, [1])]})

    early = POLICY.evolve(depart_slack_s=200)

    assert decisions(known, plan, POLICY, STREET).departures == ()
    assert len(decisions(known, plan, early, STREET).departures) == 1


def test_a_courier_sets_out_earlier_for_food_whose_time_is_uncertain() -> None:
    sure = street([order(1, at=100, to=0, ready_s=700)], [courier(1, at=0)])
    vague = street([order(1, at=100, to=0, ready_s=700, spread_s=250)], [courier(1, at=0)])
    plan = planned({"c1": [(100, [1])]})

    patient, hasty = (matching(ready_lead=lead) for lead in (1.0, 2.0))

    assert [len(decisions(sure, plan, one, STREET).departures) for one in (patient, hasty)] == [
        0,
        0,
    ]
    assert [len(decisions(vague, plan, one, STREET).departures) for one in (patient, hasty)] == [
        0,
        1,
    ]


def test_a_courier_who_is_not_free_yet_is_not_sent_out() -> None:
    known = street([order(1, at=100, to=0)], [courier(1, at=0, free_s=1)])

    assert decided(known, planned({"c1": [(100, [1])]})) == ([], [], [])


def test_a_courier_on_his_way_is_not_diverted_but_one_who_waits_may_go_elsewhere() -> None:
    orders = [order(1, at=100, to=0)]
    plan = planned({"c1": [(100, [1])]})

    driving = street(orders, [courier(1, at=0, free_s=30, is_bound=True)])
    waiting = street(orders, [courier(1, at=0, free_s=-30, is_bound=True)])

    assert decided(driving, plan)[0] == []
    assert decided(waiting, plan)[0] == ["c1"]


def test_an_order_joins_a_courier_on_his_way_and_he_is_told_the_whole_trip() -> None:
    known = street(
        [order(1, at=100, to=0, held_by="c1"), order(2, at=100, to=50)],
        [courier(1, at=100, free_s=30, is_bound=True)],
    )

    told = decisions(known, planned({"c1": [(100, [2, 1])]}), POLICY, STREET)

    assert told.departures == ()
    assert told.joins == (
        Join(
            courier_id=known.courier_ids[0],
            restaurant_id=known.restaurant_ids[0],
            order_ids=(known.order_ids[1], known.order_ids[0]),
            joining=(known.order_ids[1],),
        ),
    )


def test_a_trip_that_stays_as_it_is_needs_no_word() -> None:
    known = street(
        [order(1, at=100, to=0, held_by="c1")], [courier(1, at=100, free_s=30, is_bound=True)]
    )

    assert decided(known, planned({"c1": [(100, [1])]})) == ([], [], [])


def test_an_order_that_changes_couriers_leaves_the_one_and_joins_the_other() -> None:
    known = street(
        [order(1, at=100, to=0, held_by="c1"), order(2, at=100, to=50, held_by="c2")],
        [courier(1, at=100, is_bound=True), courier(2, at=100, free_s=30, is_bound=True)],
    )

    assert decided(known, planned({"c2": [(100, [2, 1])]})) == ([], ["c2"], ["o1"])


def test_an_order_put_off_to_a_later_trip_leaves_its_courier_for_now() -> None:
    known = street(
        [order(1, at=100, to=0, held_by="c1"), order(2, at=100, to=50, held_by="c1")],
        [courier(1, at=100, is_bound=True)],
    )

    assert decided(known, planned({"c1": [(100, [1]), (100, [2])]})) == ([], [], ["o2"])


def test_a_courier_who_has_not_set_out_may_hold_all_that_he_is_planned_for() -> None:
    known = street(
        [
            order(1, at=100, to=0, ready_s=900, held_by="c1"),
            order(2, at=300, to=0, ready_s=900, held_by="c1"),
            order(3, at=300, to=0, ready_s=900, held_by="c1"),
        ],
        [courier(1, at=0)],
    )

    assert decided(known, planned({"c1": [(100, [1]), (300, [2])]})) == ([], [], ["o3"])


def test_nothing_is_decided_for_an_empty_plan() -> None:
    assert decided(street([order(1, at=0, to=9)], []), Plan()) == ([], [], [])
