"""Small markets to plan, drawn from a seed or laid out by hand.

By hand everything lies on one street, a metre a second, so that distances are travel times; a
handover takes two minutes at both ends. Ids say what they are: `o1`, `c1`, `r1`.
"""

import random
from collections.abc import Mapping, Sequence

from msgspec import structs

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.plan import Plan, Trip
from dispatch.matching.snapshot import FreeCourier, OpenOrder, Snapshot, snapshot
from dispatch.policy import Matching, Policy
from geo.travel import StraightLine

STREET = StraightLine(speed_mps=1.0)
POLICY = Policy(pickup_s=120, dropoff_s=120, bag_s_max=2_400, round_s=60)
HOUR_S = 3_600.0


def order(
    number: int,
    *,
    at: float,
    to: float,
    ready_s: float = 0.0,
    spread_s: float = 0.0,
    placed_s: float = 0.0,
    size: int = 1,
    held_by: str | None = None,
    barred: Sequence[str] = (),
) -> OpenOrder:
    """An order from the restaurant at `at` metres to the door at `to` metres of the street."""
    return OpenOrder(
        id=OrderId(f"o{number}"),
        restaurant_id=RestaurantId(f"r{at:g}"),
        dropoff=(to, 0.0),
        placed_s=placed_s,
        ready_s=ready_s,
        spread_s=spread_s,
        size=size,
        held_by=None if held_by is None else CourierId(held_by),
        barred=tuple(CourierId(one) for one in barred),
    )


def courier(
    number: int,
    *,
    at: float,
    free_s: float = 0.0,
    off_s: float = 10 * HOUR_S,
    capacity: int = 6,
    is_bound: bool = False,
) -> FreeCourier:
    """A courier at `at` metres of the street, bound to the restaurant there if told so."""
    return FreeCourier(
        id=CourierId(f"c{number}"),
        place=(at, 0.0),
        free_s=free_s,
        off_s=off_s,
        capacity=capacity,
        bound=RestaurantId(f"r{at:g}") if is_bound else None,
    )


def street(
    orders: Sequence[OpenOrder],
    couriers: Sequence[FreeCourier],
    *,
    demand: Mapping[RestaurantId, float] | None = None,
    at_s: int = 0,
) -> Snapshot:
    """The street with restaurants wherever an order or a courier says there is one."""
    named = {one.restaurant_id for one in orders} | {one.bound for one in couriers if one.bound}
    named |= set(demand or {})
    places = {one: (float(one[1:]), 0.0) for one in sorted(named)}
    return snapshot(Instant(at_s * 1_000), places, orders, couriers, demand)


def planned(trips: Mapping[str, Sequence[tuple[float, Sequence[int]]]]) -> Plan:
    """A plan told as `{courier: [(restaurant's metre, [order, ...]), ...]}`."""
    return Plan(
        trips={
            CourierId(one): tuple(
                Trip(RestaurantId(f"r{at:g}"), tuple(OrderId(f"o{number}") for number in numbers))
                for at, numbers in theirs
            )
            for one, theirs in trips.items()
        }
    )


def told_by(plan: Plan) -> dict[str, list[list[str]]]:
    """The trips of a plan as plain lists of orders, by courier."""
    return {
        one: [list(trip.order_ids) for trip in trips] for one, trips in sorted(plan.trips.items())
    }


def matching(**changes: float) -> Policy:
    """The policy of these tests with other prices or widths of the round."""
    return structs.replace(POLICY, matching=structs.replace(Matching(), **changes))


def city(seed: int, *, orders: int = 12, couriers: int = 6, restaurants: int = 4) -> Snapshot:
    """A market with everything: busy, bound and late couriers, old, held and declined orders.

    When food will be ready is known of one in three, and more or less uncertain of the others.
    """
    rng = random.Random(seed)
    places = {RestaurantId(f"r{one}"): _place(rng) for one in range(restaurants)}
    names = [CourierId(f"c{one}") for one in range(couriers)]
    return snapshot(
        Instant(rng.randrange(10**6) * 1_000),
        places,
        [_drawn_order(rng, one, list(places), names) for one in range(orders)],
        [_drawn_courier(rng, one, places) for one in names],
        {one: rng.random() for one in places if rng.random() < 0.8},
    )


def _place(rng: random.Random) -> tuple[float, float]:
    return rng.uniform(0, 2_000), rng.uniform(0, 2_000)


def _drawn_order(
    rng: random.Random, number: int, places: Sequence[RestaurantId], names: Sequence[CourierId]
) -> OpenOrder:
    drawn = OpenOrder(
        id=OrderId(f"o{number}"),
        restaurant_id=rng.choice(places),
        dropoff=_place(rng),
        placed_s=rng.uniform(-HOUR_S, 0),
        ready_s=rng.uniform(-HOUR_S, HOUR_S),
        size=rng.choice([1, 1, 2, 3]),
        held_by=rng.choice([None, None, None, *names]),
        barred=tuple(one for one in names if rng.random() < 0.1),
    )
    is_cooking = drawn.ready_s > 0
    return structs.replace(drawn, spread_s=200.0 * (number % 3) if is_cooking else 0.0)


def _drawn_courier(
    rng: random.Random, name: CourierId, places: Mapping[RestaurantId, tuple[float, float]]
) -> FreeCourier:
    bound = rng.choice([None, None, *places])
    return FreeCourier(
        id=name,
        place=places[bound] if bound else _place(rng),
        free_s=rng.uniform(-600, 1_800),
        off_s=rng.uniform(600, 3 * HOUR_S),
        capacity=rng.choice([2, 4, 6]),
        bound=bound,
        order_price_s=rng.choice([0.0, -60.0, 90.0]),
    )
