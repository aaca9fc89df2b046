"""A plan: which courier makes which trips, told by ids so that it outlives its round.

A plan binds nobody. It is what the last round thought best, and the next round starts from what is
left of it: orders picked up or canceled, couriers gone or off shift, simply drop out when it is
`warmed`.
"""

from collections.abc import Container, Mapping

from msgspec import Struct, field

from dispatch.ids import CourierId, OrderId, RestaurantId
from dispatch.matching.snapshot import NOBODY, Snapshot

type Rows = list[list[list[int]]]
"""Per courier, his trips; per trip, the rows of its orders as they will be dropped off."""


class Trip(Struct, frozen=True):
    """One visit to one restaurant, and the drop-offs that follow it, in their order."""

    restaurant_id: RestaurantId
    order_ids: tuple[OrderId, ...]


class Effort(Struct, frozen=True, kw_only=True):
    """What a round had before it and how hard it looked; recorded with its plan."""

    orders: int = 0
    couriers: int = 0
    candidates: int = 0
    """Pairs of an order and a courier that were looked at."""
    insertions: int = 0
    """Places in a courier's plan at which an order was priced."""
    iterations: int = 0
    """Changes of the plan that were tried to see whether it gets better."""
    gains: int = 0
    """Those of them that made it better, and were kept."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a round proposes. Couriers without a trip are not in `trips`."""

    trips: dict[CourierId, tuple[Trip, ...]] = field(
        default_factory=dict[CourierId, tuple[Trip, ...]]
    )
    unplanned: tuple[OrderId, ...] = ()
    cost_s: float = 0.0
    effort: Effort = Effort()


def warmed(kept: Plan | None, known: Snapshot) -> Rows:
    """Return what is left of `kept` in the rows of `known`, one list of trips per courier.

    An order that a courier holds and that `kept` knows nothing of goes to him: after a failover
    there is no kept plan, and yet everybody should go on with what he has.
    """
    trips = kept.trips if kept else {}
    place = {one: row for row, one in enumerate(known.order_ids)}
    barred = set(known.barred)
    rows: Rows = [
        _left(trips.get(one, ()), place, courier, barred)
        for courier, one in enumerate(known.courier_ids)
    ]
    settled = {row for course in rows for trip in course for row in trip}
    settled |= {place[one] for one in (kept.unplanned if kept else ()) if one in place}
    held_by: list[int] = known.held_by.tolist()
    for row, holder in enumerate(held_by):
        if holder != NOBODY and row not in settled and (row, holder) not in barred:
            _add(known, rows[holder], row)
    return rows


def _add(known: Snapshot, course: list[list[int]], row: int) -> None:
    """Add an order to the last trip of a course if it is to the same restaurant, else behind it."""
    if course and known.restaurant[course[-1][0]] == known.restaurant[row]:
        course[-1].append(row)
    else:
        course.append([row])


def _left(
    trips: tuple[Trip, ...],
    place: Mapping[OrderId, int],
    courier: int,
    barred: Container[tuple[int, int]],
) -> list[list[int]]:
    known = ([place[one] for one in trip.order_ids if one in place] for trip in trips)
    left = ([row for row in trip if (row, courier) not in barred] for trip in known)
    return [trip for trip in left if trip]


def told(known: Snapshot, rows: Rows, cost_s: float, effort: Effort) -> Plan:
    """Return the plan that `rows` mean, with every order that is in none of them unplanned."""
    planned = {row for trips in rows for trip in trips for row in trip}
    return Plan(
        trips={
            known.courier_ids[courier]: tuple(_trip(known, trip) for trip in trips)
            for courier, trips in enumerate(rows)
            if trips
        },
        unplanned=tuple(one for row, one in enumerate(known.order_ids) if row not in planned),
        cost_s=cost_s,
        effort=effort,
    )


def _trip(known: Snapshot, rows: list[int]) -> Trip:
    restaurant_id = known.restaurant_ids[int(known.restaurant[rows[0]])]
    return Trip(restaurant_id, tuple(known.order_ids[row] for row in rows))
