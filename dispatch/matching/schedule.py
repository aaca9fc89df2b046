"""When everything in a plan would happen, and what it would cost: the rules in plain Python.

This is the definition. `insertion` walks the same routes in compiled code, and the tests hold the
two against each other; whoever needs the times of a plan, an estimate for a customer or a log, asks
here. The rules: a courier is at a restaurant for half the handover before the food changes hands
and for half after it, and the same at a door; food changes hands when all of a trip's orders are
ready; nothing is picked up after the end of a shift, though it may be dropped off; waiting is not
work, and neither is what lies after the shift. When food will be ready is uncertain: a pickup is at
the mean of when it could be, over all likely times, and so it is worth something to be early for
the middle of them, though less and less.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf

from msgspec import Struct

from dispatch.decision import Terms
from dispatch.ids import CourierId, OrderId, RestaurantId
from dispatch.matching.plan import Plan, warmed
from dispatch.matching.problem import INSTANT_S, Problem, problem
from dispatch.matching.snapshot import NOBODY, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes

type Rows = Sequence[int]


class Visit(Struct, frozen=True, kw_only=True):
    """A trip in time, in seconds from now.

    `leave_s` is when the courier can set out for the restaurant; `leave_s_max` is when he still
    can and be no later at the pickup, because the food is not ready before.
    """

    courier_id: CourierId
    restaurant_id: RestaurantId
    order_ids: tuple[OrderId, ...]
    leave_s: float
    leave_s_max: float
    arrival_s: float
    pickup_s: float
    dropoff_s: tuple[float, ...]


class Times(Struct, frozen=True, kw_only=True):
    """A trip in time, by rows: out with an empty bag, pickup, and each drop-off."""

    rows: tuple[int, ...]
    leave_s: float
    arrival_s: float
    picked_up_s: float
    dropped_off_s: tuple[float, ...]


def schedule(
    known: Snapshot, plan: Plan, policy: Policy, travel: TravelTimes
) -> dict[CourierId, tuple[Visit, ...]]:
    """Return when each trip of `plan` would happen, as far as its orders and couriers are known."""
    p = problem(known, travel, policy)
    return {
        known.courier_ids[courier]: tuple(
            _visit(p, known, courier, times) for times in course(p, courier, trips)
        )
        for courier, trips in enumerate(warmed(plan, known))
        if trips
    }


def course(p: Problem, courier: int, trips: Sequence[Rows]) -> Iterator[Times]:
    """Yield the times of one courier's `trips`, whether they keep the limits or not."""
    half_pickup_s, half_dropoff_s = p.pickup_s / 2, p.dropoff_s / 2
    who = p.couriers[courier]
    clock_s, origin = float(who["free_s"]), courier
    for place, rows in enumerate(trips):
        restaurant = int(p.orders["restaurant"][rows[0]])
        is_bound_there = place == 0 and who["bound"] == restaurant
        leave_s = clock_s if is_bound_there else max(clock_s, 0.0)
        leg_s = 0.0 if is_bound_there else float(p.to_restaurant[origin, restaurant])
        picked_up_s = _picked_up_s(p, rows, max(leave_s + leg_s + half_pickup_s, 0.0))
        clock_s, dropped_off_s = picked_up_s + half_pickup_s, list[float]()
        for way_s in _ways_s(p, rows):
            dropped_off_s.append(clock_s + way_s + half_dropoff_s)
            clock_s += way_s + p.dropoff_s
        yield Times(
            rows=tuple(rows),
            leave_s=leave_s,
            arrival_s=leave_s + leg_s,
            picked_up_s=picked_up_s,
            dropped_off_s=tuple(dropped_off_s),
        )
        origin = len(p.couriers) + rows[-1]


def cost_s(p: Problem, courier: int, trips: Sequence[Rows]) -> float:
    """Return what one courier's `trips` cost, the sum of their terms; inf past a limit."""
    times = list(course(p, courier, trips))
    if len(trips) > p.trips_max or not all(_keeps_limits(p, courier, one) for one in times):
        return inf
    return terms(p, courier, times).total_s


def terms(p: Problem, courier: int, course: Sequence[Times]) -> Terms:
    """Return what one courier's course costs, term by term, whether it keeps the limits or not."""
    if not course:
        return Terms()
    rows = [row for times in course for row in times.rows]
    late_s = [late for times in course for late in _late_s(p, times)]
    held_by = p.orders["held_by"][rows].tolist()
    moved = sum(one not in {NOBODY, courier} for one in held_by)
    end_s = p.orders["onward_s"][rows[-1]] - p.couriers["onward_s"][courier]
    return Terms(
        delay_s=sum(late_s),
        ageing_s=sum(late * late for late in late_s) * p.ageing_per_s,
        work_s=p.work_price * sum(_work_s(p, courier, times) for times in course),
        end_s=float(p.end_price * end_s),
        switch_s=p.switch_price_s * moved,
        fairness_s=float(p.couriers["order_price_s"][courier]) * len(rows),
    )


def extensions(p: Problem, trips: Sequence[Rows], order: int) -> Iterator[list[list[int]]]:
    """Yield every way in which `order` can enter `trips`: as its own trip, or joining one."""
    for place in range(len(trips) + 1):
        yield [*map(list, trips[:place]), [order], *map(list, trips[place:])]
    restaurant = p.orders["restaurant"]
    for place, rows in enumerate(trips):
        if restaurant[rows[0]] == restaurant[order]:
            for at in range(len(rows) + 1):
                joined = [*rows[:at], order, *rows[at:]]
                yield [*map(list, trips[:place]), joined, *map(list, trips[place + 1 :])]


def _picked_up_s(p: Problem, rows: Rows, there_s: float) -> float:
    """Return when food is expected to change hands if its courier could take it from `there_s` on.

    That is the mean, over all times at which it may be ready, of the later of both.
    """
    soonest_s = float(p.orders["soonest_s"][list(rows)].max())
    latest_s = float(p.orders["latest_s"][list(rows)].max())
    if there_s >= latest_s:
        return there_s
    into_s = max(0.0, there_s - soonest_s)
    return (soonest_s + latest_s) / 2 + into_s**2 / max(2 * (latest_s - soonest_s), INSTANT_S)


def _ways_s(p: Problem, rows: Rows) -> Iterator[float]:
    yield float(p.orders["first_leg_s"][rows[0]])
    for here, there in pairwise(rows):
        yield float(p.between_dropoffs[here, there])


def _keeps_limits(p: Problem, courier: int, times: Times) -> bool:
    who = p.couriers[courier]
    load = int(p.orders["size"][list(times.rows)].sum())
    bag_s = times.dropped_off_s[-1] - times.picked_up_s
    return bool(
        times.picked_up_s <= who["off_s"]
        and load <= who["capacity"]
        and len(times.rows) <= p.bundle_max
        and (len(times.rows) == 1 or bag_s <= p.bag_s_max)
    )


def _work_s(p: Problem, courier: int, times: Times) -> float:
    off_s = float(p.couriers["off_s"][courier])
    left_s = times.picked_up_s + p.pickup_s / 2
    free_s = times.dropped_off_s[-1] + p.dropoff_s / 2
    out_s = times.arrival_s - times.leave_s
    return (
        out_s
        + p.pickup_s / 2
        + _until(left_s, off_s, times.picked_up_s)
        + _until(free_s, off_s, left_s)
    )


def _until(end_s: float, off_s: float, start_s: float) -> float:
    return max(0.0, min(end_s, off_s) - start_s)


def _late_s(p: Problem, times: Times) -> list[float]:
    """Return how much later than possible each order of a trip comes."""
    earliest_s = p.orders["earliest_s"][list(times.rows)].tolist()
    return [done - soonest for done, soonest in zip(times.dropped_off_s, earliest_s, strict=True)]


def _visit(p: Problem, known: Snapshot, courier: int, times: Times) -> Visit:
    soonest_s = float(p.orders["soonest_s"][list(times.rows)].max())
    spare_s = max(0.0, soonest_s - p.pickup_s / 2 - times.arrival_s)
    return Visit(
        courier_id=known.courier_ids[courier],
        restaurant_id=known.restaurant_ids[int(known.restaurant[times.rows[0]])],
        order_ids=tuple(known.order_ids[row] for row in times.rows),
        leave_s=times.leave_s,
        leave_s_max=times.leave_s + spare_s,
        arrival_s=times.arrival_s,
        pickup_s=times.picked_up_s,
        dropoff_s=times.dropped_off_s,
    )
