"""Where idle couriers wait, on a street of a metre a second."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from msgspec import structs

from dispatch.ids import CourierId, RestaurantId
from dispatch.matching.demand import Forecast
from dispatch.matching.plan import Plan, Trip
from dispatch.matching.reposition import (
    WAIT_S_MAX,
    Move,
    Outlook,
    reposition,
    sent,
    waits_s,
)
from dispatch.matching.snapshot import NOBODY, Floats, FreeCourier, OpenOrder
from dispatch.policy import Policy, Repositioning
from tests.dispatch.matching.markets import POLICY, STREET, courier, order, street

WISHED = Repositioning(drive_price=0.05, leg_s_max=900, stay_s=300, horizon_s=2_400)
WILLING = POLICY.evolve(repositioning=WISHED)
LEAD_S = 300.0


def moves(
    couriers: Sequence[FreeCourier],
    per_hour: Mapping[str, float],
    *,
    orders: Sequence[OpenOrder] = (),
    plan: Plan | None = None,
    policy: Policy = WILLING,
    advised: Mapping[CourierId, RestaurantId] | None = None,
) -> dict[str, str]:
    """Return who is sent where, when so many orders an hour are expected at each restaurant."""
    demand = {RestaurantId(one): orders_h for one, orders_h in per_hour.items()}
    known = street(orders, couriers, demand=demand)
    forecast = Forecast(per_s=known.demand / 3_600, lead_s=np.full(len(known.demand), LEAD_S))
    found = reposition(known, plan or Plan(), forecast, policy, STREET, advised or {})
    return {move.courier_id: move.restaurant_id for move in found}


def wishing(**changes: object) -> Policy:
    return WILLING.evolve(repositioning=structs.replace(WISHED, **changes))


def test_an_idle_courier_goes_where_orders_are_expected() -> None:
    assert moves([courier(1, at=0)], {"r600": 10}) == {"c1": "r600"}


def test_nobody_moves_where_nothing_is_expected() -> None:
    assert moves([courier(1, at=0)], {"r600": 0}) == {}


def test_a_price_of_nothing_leaves_everybody_where_he_is() -> None:
    assert moves([courier(1, at=0)], {"r600": 10}, policy=wishing(drive_price=0)) == {}
    assert moves([courier(1, at=0)], {"r600": 10}, policy=Policy()) == {}


def test_driving_that_costs_more_than_customers_gain_is_not_done() -> None:
    saved_s = 10 / 3_600 * 0.5 * (600**2 / 1_200 + WILLING.matching.work_price * 600)
    worth = saved_s * (2_400 - 300) / 600
    cheap, dear = worth * 0.99, worth * 1.01

    assert moves([courier(1, at=0)], {"r600": 10}, policy=wishing(drive_price=cheap))
    assert not moves([courier(1, at=0)], {"r600": 10}, policy=wishing(drive_price=dear))


@pytest.mark.parametrize(
    "unmoved",
    [
        courier(1, at=0, free_s=60),
        courier(1, at=0, off_s=500),
        courier(1, at=0, free_s=-299, is_bound=True),
        courier(1, at=0, free_s=200, is_bound=True),
        courier(1, at=-400),
    ],
    ids=["still busy", "off before he is there", "just come to wait", "under way", "too far"],
)
def test_a_courier_is_left_where_he_is_who_is(unmoved: FreeCourier) -> None:
    assert moves([unmoved], {"r600": 10}) == {}


def test_who_has_waited_long_enough_may_be_sent_on() -> None:
    assert moves([courier(1, at=0, free_s=-300, is_bound=True)], {"r600": 10}) == {"c1": "r600"}


def test_a_courier_with_a_trip_before_him_stays_free_for_it() -> None:
    later = order(1, at=100, to=200, ready_s=3_000)
    plan = Plan(trips={CourierId("c1"): (Trip(later.restaurant_id, (later.id,)),)})

    assert moves([courier(1, at=0)], {"r600": 10}, orders=[later], plan=plan) == {}
    assert moves([courier(1, at=0)], {"r600": 10}, orders=[later]) == {"c1": "r600"}


def test_couriers_spread_over_the_corners_that_expect_orders() -> None:
    both = [courier(1, at=0), courier(2, at=0)]

    spread = moves(both, {"r-600": 10, "r600": 10})

    assert sorted(spread.values()) == ["r-600", "r600"]


def test_nobody_goes_where_a_colleague_will_soon_be_free() -> None:
    bringing = order(1, at=580, to=600)
    plan = Plan(trips={CourierId("c2"): (Trip(bringing.restaurant_id, (bringing.id,)),)})
    lone = moves([courier(1, at=0)], {"r600": 0.4}, orders=[bringing])

    pair = [courier(1, at=0), courier(2, at=580, is_bound=True)]

    assert lone == {"c1": "r600"}
    assert moves(pair, {"r600": 0.4}, orders=[bringing], plan=plan) == {}


def test_who_is_on_his_way_is_counted_where_he_goes_and_not_sent_elsewhere() -> None:
    both = [courier(1, at=0), courier(2, at=0)]

    second = moves(both, {"r-600": 10, "r600": 10}, advised={CourierId("c1"): RestaurantId("r600")})

    assert second == {"c2": "r-600"}


def test_who_covers_a_busy_corner_does_not_leave_it_for_a_quiet_one() -> None:
    assert moves([courier(1, at=0)], {"r0": 10, "r600": 3}) == {}


def test_a_round_sends_no_more_couriers_than_it_may() -> None:
    crowd = [courier(number, at=0) for number in range(5)]
    corners = {f"r{x}": 10.0 for x in (200, 400, 600, -200, -400)}

    assert len(moves(crowd, corners)) > 2
    assert len(moves(crowd, corners, policy=wishing(moves_max=2))) == 2


def test_who_followed_advice_is_not_sent_back() -> None:
    corners = {"r0": 5.0, "r600": 6.0, "r-300": 2.0}
    [place] = moves([courier(1, at=-500)], corners).values()

    there = courier(1, at=float(place[1:]), free_s=-3_000, is_bound=True)

    assert moves([there], corners) == {}


def test_a_market_without_couriers_or_restaurants_has_no_moves() -> None:
    assert moves([], {"r600": 10}) == {}
    assert moves([courier(1, at=0)], {}) == {}


def test_orders_wait_longer_for_who_comes_later_and_where_food_is_ready_sooner() -> None:
    arrivals_s = np.array([0.0, 100.0, 600.0, 1_200.0, 1e9])

    waits = waits_s(arrivals_s, np.full(5, LEAD_S), 0.0)

    assert waits.tolist() == [0.0, 100**2 / 1_200, 300.0, 900.0, WAIT_S_MAX]
    assert waits_s(arrivals_s, np.zeros(5), 0.0)[2] == pytest.approx(599, abs=1)


def _expected_s(waits: Floats, o: Outlook) -> float:
    """Return customers' seconds a second, from the definition: who is nearest and still free."""
    total = 0.0
    for place, per_s in enumerate(o.per_s):
        by_wait = [*sorted(waits[:, place]), *[WAIT_S_MAX] * len(o.shares)][: len(o.shares)]
        rest = 1.0 - o.shares.sum()
        total += per_s * (o.shares @ np.minimum(by_wait, WAIT_S_MAX) + rest * WAIT_S_MAX)
    return float(total)


def _gain_s(o: Outlook, mover: int, goal: int) -> float:
    """Return what one move gains, from the definition."""
    leg_s, there = o.legs_s[mover, goal], o.waits_s.copy()
    there[o.movers[mover]] = o.there_s[goal]
    saved = _expected_s(o.waits_s, o) - _expected_s(there, o)
    return saved * (o.spans_s[mover] - leg_s / 2) - o.drive_price * leg_s


def _outlook(seed: int) -> Outlook:
    chance = random.Random(seed)

    def some(*shape: int, most: float) -> Floats:
        cells = [chance.uniform(0, most) for _ in range(int(np.prod(shape)))]
        return np.array(cells).reshape(shape)

    between_s = some(6, 6, most=900)
    np.fill_diagonal(between_s, 0.0)
    return Outlook(
        waits_s=some(5, 6, most=900),
        there_s=between_s,
        per_s=some(6, most=0.01),
        shares=np.array([0.5, 0.25, 0.125, 0.0625]),
        movers=np.array([0, 2, 4]),
        legs_s=some(3, 6, most=900),
        spans_s=some(3, most=2_400),
        drive_price=0.1,
        leg_s_max=720.0,
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_first_to_move_is_the_one_who_gains_most_by_the_plain_definition(seed: int) -> None:
    o = _outlook(seed)
    gains_s = {
        (mover, goal): _gain_s(o, mover, goal)
        for mover in range(3)
        for goal in range(6)
        if o.legs_s[mover, goal] <= min(o.leg_s_max, o.spans_s[mover])
    }
    best = max(gains_s, key=lambda pair: gains_s[pair])

    chosen = sent(o, 1)

    assert (chosen != NOBODY).sum() == (gains_s[best] > 0)
    assert gains_s[best] <= 0 or chosen[best[0]] == best[1]


def test_the_same_outlook_gives_the_same_moves_and_is_left_as_it_was() -> None:
    o, other = _outlook(3), _outlook(3)

    first, second = sent(o, 3), sent(o, 3)

    assert first.tolist() == second.tolist()
    assert (o.waits_s == other.waits_s).all()


def test_a_move_names_a_courier_and_a_restaurant() -> None:
    known = street([], [courier(1, at=0)], demand={RestaurantId("r600"): 10.0})
    forecast = Forecast(per_s=np.array([0.01]), lead_s=np.array([LEAD_S]))

    found = reposition(known, Plan(), forecast, WILLING, STREET, {})

    assert found == (Move(CourierId("c1"), RestaurantId("r600")),)
