"""What a round may know: open orders, couriers, restaurants and demand, at one instant.

All times are seconds relative to that instant, so that a plan never depends on the calendar; all
places are metres in the market's plane. Orders here are placed and not yet picked up; an order in a
courier's bag is no longer anybody's choice and appears only as the time at which he is free again.
Rows keep the order in which they were given, and solvers break ties by it, so whoever fills a
snapshot must give the rows in an order that later arrivals do not disturb (by id, or by age).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]
type Bools = NDArray[np.bool_]
type Place = tuple[float, float]

NOBODY = -1
"""The index that stands for no courier, or no restaurant."""


class OpenOrder(Struct, frozen=True, kw_only=True):
    """An order that somebody has yet to pick up.

    `ready_s` is when its food is expected, and `spread_s` the standard deviation of that; `said_s`
    is when its kitchen said that it would be ready, None when it is already.
    """

    id: OrderId
    restaurant_id: RestaurantId
    dropoff: Place
    placed_s: float
    ready_s: float
    spread_s: float = 0.0
    said_s: float | None = None
    size: int = 1
    held_by: CourierId | None = None
    barred: tuple[CourierId, ...] = ()


class FreeCourier(Struct, frozen=True, kw_only=True):
    """A courier who may be planned, as of where and when he can next start something.

    On his way to a restaurant, or waiting there, he is `bound` to it: then `place` is that
    restaurant and `free_s` his arrival, which may lie in the past. He picks nothing up after
    `off_s`. `capacity` is what fits into his empty bag. `order_price_s` is what an order more is
    dearer with him than with others, so that work is spread fairly; negative when he is owed some.
    """

    id: CourierId
    place: Place
    free_s: float
    off_s: float
    capacity: int
    bound: RestaurantId | None = None
    order_price_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of one round as columns. R restaurants, N orders, C couriers."""

    at: Instant
    restaurant_ids: tuple[RestaurantId, ...]
    restaurant_xy: Floats
    """(R, 2) metres."""
    demand: Floats
    """(R,) how many orders a restaurant is expected to get, in any unit common to all."""
    order_ids: tuple[OrderId, ...]
    restaurant: Ints
    """(N,) index of the order's restaurant."""
    dropoff_xy: Floats
    """(N, 2) metres."""
    placed_s: Floats
    ready_s: Floats
    spread_s: Floats
    """(N,) standard deviation of the time at which the food is ready; 0 where it is known."""
    size: Ints
    held_by: Ints
    """(N,) index of the courier who holds the order at present, or NOBODY."""
    barred: tuple[tuple[int, int], ...]
    """Pairs of an order and a courier who is not to get it."""
    courier_ids: tuple[CourierId, ...]
    free_xy: Floats
    """(C, 2) metres."""
    free_s: Floats
    off_s: Floats
    capacity: Ints
    bound: Ints
    """(C,) index of the restaurant a courier drives to or waits at, or NOBODY."""
    order_price_s: Floats
    """(C,) what an order more is dearer with this courier than with others."""


def snapshot(
    at: Instant,
    restaurants: Mapping[RestaurantId, Place],
    orders: Sequence[OpenOrder],
    couriers: Sequence[FreeCourier],
    demand: Mapping[RestaurantId, float] | None = None,
) -> Snapshot:
    """Return the rows as columns; a restaurant nobody named raises KeyError with its id."""
    seats = _indices(restaurants)
    crew = _indices(courier.id for courier in couriers)
    wanted = demand or {}
    return Snapshot(
        at=at,
        restaurant_ids=tuple(restaurants),
        restaurant_xy=_places(list(restaurants.values())),
        demand=_floats(wanted.get(one, 0.0) for one in restaurants),
        order_ids=tuple(order.id for order in orders),
        restaurant=_ints(seats[order.restaurant_id] for order in orders),
        dropoff_xy=_places([order.dropoff for order in orders]),
        placed_s=_floats(order.placed_s for order in orders),
        ready_s=_floats(order.ready_s for order in orders),
        spread_s=_floats(order.spread_s for order in orders),
        size=_ints(order.size for order in orders),
        held_by=_ints(_index(crew, order.held_by) for order in orders),
        barred=_barred(orders, crew),
        courier_ids=tuple(crew),
        free_xy=_places([courier.place for courier in couriers]),
        free_s=_floats(courier.free_s for courier in couriers),
        off_s=_floats(courier.off_s for courier in couriers),
        capacity=_ints(courier.capacity for courier in couriers),
        bound=_ints(
            NOBODY if courier.bound is None else seats[courier.bound] for courier in couriers
        ),
        order_price_s=_floats(courier.order_price_s for courier in couriers),
    )


def _indices[Id](ids: Iterable[Id]) -> dict[Id, int]:
    return {one: index for index, one in enumerate(ids)}


def _index(crew: Mapping[CourierId, int], held_by: CourierId | None) -> int:
    return NOBODY if held_by is None else crew.get(held_by, NOBODY)


def _barred(
    orders: Sequence[OpenOrder], crew: Mapping[CourierId, int]
) -> tuple[tuple[int, int], ...]:
    return tuple(
        (index, crew[one])
        for index, order in enumerate(orders)
        for one in order.barred
        if one in crew
    )


def _places(places: Sequence[Place]) -> Floats:
    return np.array(places, dtype=np.float64).reshape(len(places), 2)


def _floats(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)


def _ints(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)
