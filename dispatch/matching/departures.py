"""What of a plan has to be told to couriers now. The rest stays a plan, and may change.

A free courier is sent out at the last moment that still brings him there as the food is ready, or
rather in the last round before that moment. Which orders he takes is settled only when the food
changes hands: until then each round may let an order join his trip, or take one from it. A courier
on his way to a restaurant goes on to it, unless he may be diverted, and then he is not bound to it
in the first place.
"""

from collections.abc import Collection, Iterator

import numpy as np
from msgspec import Struct

from dispatch.ids import CourierId, OrderId, RestaurantId
from dispatch.matching.plan import Plan, Trip
from dispatch.matching.snapshot import NOBODY, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes


class Departure(Struct, frozen=True, kw_only=True):
    """A free courier sets out now, for these orders in the order of their drop-offs."""

    courier_id: CourierId
    restaurant_id: RestaurantId
    order_ids: tuple[OrderId, ...]


class Join(Struct, frozen=True, kw_only=True):
    """More orders for a courier on his way to their restaurant, or waiting there.

    `order_ids` is all that he is to have there, in the order of their drop-offs.
    """

    courier_id: CourierId
    restaurant_id: RestaurantId
    order_ids: tuple[OrderId, ...]
    joining: tuple[OrderId, ...]


class Decisions(Struct, frozen=True, kw_only=True):
    """What a plan decides now.

    `leaving` are orders whose courier is not to have them any more; they leave him before they
    join or depart with another.
    """

    departures: tuple[Departure, ...] = ()
    joins: tuple[Join, ...] = ()
    leaving: tuple[OrderId, ...] = ()


def decisions(known: Snapshot, plan: Plan, policy: Policy, travel: TravelTimes) -> Decisions:
    """Return what must be decided before the next round, couriers in the order of `known`."""
    departures = tuple(_departures(known, plan, policy, travel))
    going = {departure.courier_id: departure for departure in departures}
    return Decisions(
        departures=departures,
        joins=tuple(_joins(known, plan)),
        leaving=tuple(_leaving(known, plan, going)),
    )


def _departures(
    known: Snapshot, plan: Plan, policy: Policy, travel: TravelTimes
) -> Iterator[Departure]:
    firsts = [(row, trip) for row, trip in _firsts(known, plan) if _is_free_for(known, row, trip)]
    due_s = _due_s(known, firsts, policy, travel)
    for (row, trip), leave_s in zip(firsts, due_s, strict=True):
        if leave_s < policy.round_s:
            yield Departure(
                courier_id=known.courier_ids[row],
                restaurant_id=trip.restaurant_id,
                order_ids=trip.order_ids,
            )


def _firsts(known: Snapshot, plan: Plan) -> Iterator[tuple[int, Trip]]:
    """Yield each courier who has a trip before him, with that trip."""
    for row, one in enumerate(known.courier_ids):
        if one in plan.trips:
            yield row, plan.trips[one][0]


def _is_free_for(known: Snapshot, courier: int, trip: Trip) -> bool:
    """Tell whether the courier could set out for `trip` this moment, and is not there or going."""
    return bool(known.free_s[courier] <= 0) and _bound(known, courier) != trip.restaurant_id


def _bound(known: Snapshot, courier: int) -> RestaurantId | None:
    restaurant = int(known.bound[courier])
    return None if restaurant == NOBODY else known.restaurant_ids[restaurant]


def _due_s(
    known: Snapshot, firsts: list[tuple[int, Trip]], policy: Policy, travel: TravelTimes
) -> list[float]:
    """Return for each first trip how many seconds its courier had better still wait."""
    rows = {one: row for row, one in enumerate(known.order_ids)}
    orders = [[rows[one] for one in trip.order_ids] for _, trip in firsts]
    early_s = known.ready_s - policy.matching.ready_lead * known.spread_s
    ready_s = np.array([early_s[trip].max() for trip in orders])
    restaurants = known.restaurant[[trip[0] for trip in orders]]
    legs_s = travel.matrix_s(
        known.free_xy[[row for row, _ in firsts]], known.restaurant_xy[restaurants]
    ).diagonal()
    return (ready_s - policy.pickup_s / 2 - legs_s - policy.depart_slack_s).tolist()


def _joins(known: Snapshot, plan: Plan) -> Iterator[Join]:
    holder = dict(zip(known.order_ids, known.held_by.tolist(), strict=True))
    for row, trip in _firsts(known, plan):
        joining = tuple(one for one in trip.order_ids if holder[one] != row)
        if joining and _bound(known, row) == trip.restaurant_id:
            yield Join(
                courier_id=known.courier_ids[row],
                restaurant_id=trip.restaurant_id,
                order_ids=trip.order_ids,
                joining=joining,
            )


def _leaving(known: Snapshot, plan: Plan, going: Collection[CourierId]) -> Iterator[OrderId]:
    for order_id, holder in zip(known.order_ids, known.held_by.tolist(), strict=True):
        if holder != NOBODY and order_id not in _keeps(known, plan, holder, going):
            yield order_id


def _keeps(
    known: Snapshot, plan: Plan, courier: int, going: Collection[CourierId]
) -> tuple[OrderId, ...]:
    """Return what a courier may go on holding.

    On his way or setting out it is what he is to pick up there; before that, all he is planned for.
    """
    trips = plan.trips.get(known.courier_ids[courier], ())
    if known.courier_ids[courier] in going:
        return trips[0].order_ids
    bound = _bound(known, courier)
    if bound is None:
        return tuple(one for trip in trips for one in trip.order_ids)
    return trips[0].order_ids if trips and trips[0].restaurant_id == bound else ()
