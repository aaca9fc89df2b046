"""A courier's route: the stops he has yet to make, the next one first.

A route is a tuple of stops and every function here returns a new one. It is sound when each
drop-off's order is already carried or is picked up at an earlier stop, no order stands in it twice,
and the load never passes what the courier can carry. Orders are referred to by id; what a courier
must know of one to carry it is a `Task`.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from dispatch.ids import OfferId, OrderId, RestaurantId
from dispatch.undeliverable import UndeliverableAction
from geo.point import Point


class Task(Struct, frozen=True, kw_only=True):
    """An order as its courier sees it; `size` in units of load.

    `offer_id` names the assignment by which it became his; None as long as it is only planned.
    `kitchen` is where it came from, when that is not where he fetches it.
    """

    order_id: OrderId
    restaurant_id: RestaurantId
    pickup: Point
    dropoff: Point
    size: int = 1
    offer_id: OfferId | None = None
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN
    kitchen: Point | None = None


class Pickup(Struct, frozen=True, tag="pickup"):
    """The orders to collect at one restaurant, in the order in which they are delivered."""

    restaurant_id: RestaurantId
    point: Point
    order_ids: tuple[OrderId, ...]


class DropOff(Struct, frozen=True, tag="drop_off"):
    """One order to one door."""

    order_id: OrderId
    point: Point


type Stop = Pickup | DropOff
type Route = tuple[Stop, ...]


def bundles(tasks: Iterable[Task]) -> tuple[tuple[Task, ...], ...]:
    """Return the tasks by where they are fetched, in the order in which each place first comes."""
    by_place: dict[tuple[RestaurantId, Point], list[Task]] = {}
    for task in tasks:
        by_place.setdefault((task.restaurant_id, task.pickup), []).append(task)
    return tuple(map(tuple, by_place.values()))


def trip(tasks: tuple[Task, ...]) -> Route:
    """Return the stops of one bundle: its pickup, then its drop-offs in the order of `tasks`."""
    first = tasks[0]
    assert len(bundles(tasks)) == 1, tasks
    collect = Pickup(first.restaurant_id, first.pickup, tuple(task.order_id for task in tasks))
    return (collect, *(DropOff(task.order_id, task.dropoff) for task in tasks))


def with_trip(route: Route, tasks: tuple[Task, ...]) -> Route:
    """Return `route` with a bundle: joined to a pickup at that restaurant, else as its last trip.

    Joining keeps the drop-offs that were there and puts the new ones behind them; a round that
    wants another sequence says so with `resequenced`. None of `tasks` may be in the route yet.
    """
    place = next((i for i, stop in enumerate(route) if _collects_at(stop, tasks[0])), None)
    if place is None:
        return (*route, *trip(tasks))
    collect = route[place]
    assert isinstance(collect, Pickup)
    _, *dropoffs = trip(tasks)
    ids = (*collect.order_ids, *(task.order_id for task in tasks))
    end = _trip_end(route, place)
    return (
        *route[:place],
        structs.replace(collect, order_ids=ids),
        *route[place + 1 : end],
        *dropoffs,
        *route[end:],
    )


def without(route: Route, order_id: OrderId) -> Route:
    """Return `route` with no stop for this order; a pickup left without orders goes too."""
    left = (_stop_without(stop, order_id) for stop in route)
    return tuple(stop for stop in left if stop is not None)


def resequenced(route: Route, sequence: tuple[OrderId, ...]) -> Route:
    """Return `route` with the drop-offs of these orders in this sequence, in the places they had.

    Ids that the route does not drop off are passed over.
    """
    by_id = {stop.order_id: stop for stop in route if isinstance(stop, DropOff)}
    wanted = iter([by_id[order_id] for order_id in sequence if order_id in by_id])
    chosen = {order_id for order_id in sequence if order_id in by_id}
    return tuple(
        next(wanted) if isinstance(stop, DropOff) and stop.order_id in chosen else stop
        for stop in route
    )


def collected(route: Route, order_ids: Iterable[OrderId]) -> Route:
    """Return `route` after these orders were picked up: they stand in no pickup any more."""
    gone = frozenset(order_ids)
    left: list[Stop] = []
    for stop in route:
        if not isinstance(stop, Pickup):
            left.append(stop)
        elif rest := tuple(order_id for order_id in stop.order_ids if order_id not in gone):
            left.append(structs.replace(stop, order_ids=rest))
    return tuple(left)


def order_ids(route: Route) -> tuple[OrderId, ...]:
    """Return the orders that the route delivers, in that sequence."""
    return tuple(stop.order_id for stop in route if isinstance(stop, DropOff))


def to_collect(route: Route) -> tuple[OrderId, ...]:
    """Return the orders that are not picked up yet."""
    return tuple(
        order_id for stop in route if isinstance(stop, Pickup) for order_id in stop.order_ids
    )


def load_peak(route: Route, sizes: Mapping[OrderId, int]) -> int:
    """Return the largest load on the way; `sizes` must hold every order of the route."""
    collects = set(to_collect(route))
    load = sum(sizes[order_id] for order_id in order_ids(route) if order_id not in collects)
    peak = load
    for stop in route:
        if isinstance(stop, Pickup):
            load += sum(sizes[order_id] for order_id in stop.order_ids)
        else:
            load -= sizes[stop.order_id]
        peak = max(peak, load)
    return peak


def bag_peak_s(route: Route, leg_s: tuple[float, ...], service_s: float) -> float:
    """Return the longest time that food not yet collected will spend in the bag, in seconds.

    `leg_s[i]` is the travel time to stop i from the one before it; `service_s` is spent at every
    stop, half before the food changes hands and half after it.
    """
    assert len(leg_s) == len(route)
    clock, peak, since = 0.0, 0.0, dict[OrderId, float]()
    for stop, leg in zip(route, leg_s, strict=True):
        clock += leg + service_s / 2
        if isinstance(stop, Pickup):
            since.update(dict.fromkeys(stop.order_ids, clock))
        elif stop.order_id in since:
            peak = max(peak, clock - since[stop.order_id])
        clock += service_s / 2
    return peak


def is_sound(route: Route, carried: tuple[OrderId, ...]) -> bool:
    """Tell whether every order is dropped off once, after it was collected or while carried."""
    held = set(carried)
    for stop in route:
        if isinstance(stop, Pickup):
            if not stop.order_ids or held & set(stop.order_ids):
                return False
            held |= set(stop.order_ids)
        elif stop.order_id in held:
            held.remove(stop.order_id)
        else:
            return False
    return not held


def _collects_at(stop: Stop, task: Task) -> bool:
    """Tell whether the food is fetched there; the place counts, for couriers hand over anywhere."""
    return isinstance(stop, Pickup) and (stop.restaurant_id, stop.point) == (
        task.restaurant_id,
        task.pickup,
    )


def _trip_end(route: Route, place: int) -> int:
    """Return the index behind the last drop-off of the trip whose pickup stands at `place`."""
    after = (i for i in range(place + 1, len(route)) if isinstance(route[i], Pickup))
    return next(after, len(route))


def _stop_without(stop: Stop, order_id: OrderId) -> Stop | None:
    if isinstance(stop, DropOff):
        return None if stop.order_id == order_id else stop
    left = tuple(other for other in stop.order_ids if other != order_id)
    return structs.replace(stop, order_ids=left) if left else None
