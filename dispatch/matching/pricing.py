"""The cheapest plans of one courier when orders have prices: labels grown trip by trip, compiled.

An audit pays a courier `dual_s` for each order that he takes over, and asks for the plans whose
cost, less what is paid for their orders, is below a threshold. A label is the beginning of a plan:
the trips so far, their value (cost less pay) and when and where the courier is through with them.
Labels are lengthened by every trip of the pool. One is dropped when whatever follows cannot bring
it below the threshold, or when another ends at the same door no later, is worth no less, and leaves
at least the same orders to take: so nothing that matters is missed. What was not looked into for
want of room is reported by the least value it could have had, and a bound stays a bound.

That an earlier label is better needs delays to weigh no less than work, which `audit` sees to. The
functions change the arrays of a `Board` and nothing else. It is one file because of the compiler's
cache (see `compiled`).
"""

from typing import NamedTuple

import numpy as np

from dispatch.matching.compiled import compiled, inlined
from dispatch.matching.pool import WORD, Pool, Words
from dispatch.matching.problem import INSTANT_S, Problem, Records
from dispatch.matching.snapshot import NOBODY, Floats, Ints

ROOT = 0
"""The label of the empty plan."""

SPANS = 256
SPAN_S = 40.0
"""Later than this many spans everything that follows is taken to happen at their end."""

LABEL = np.dtype(
    [
        ("value_s", np.float64),
        ("clock_s", np.float64),
        ("rest_s", np.float64),
        ("trip", np.int64),
        ("before", np.int64),
        ("next", np.int64),
        ("trips", np.int64),
        ("is_beaten", np.int64),
    ]
)
"""A plan's beginning. `rest_s` is the least that further trips could add to its value; `next` is
another label that ends at the same door."""


class Terms(NamedTuple):
    """What is asked of one courier."""

    courier: int
    dual_s: Floats
    """(N,) what he is paid for each order."""
    keep_s: float
    """Only plans of a value below this matter."""
    keeps_twins: bool
    """Whether plans of different orders are all wanted, however they compare."""
    labels_max: int
    """Beginnings that are looked at, the empty one included; less than a board has room for."""


class Nearness(NamedTuple):
    """The least that it takes to get somewhere, whoever goes and wherever he comes from."""

    restaurant_s: Floats
    """(A,) the way to a restaurant from any door."""
    door_s: Floats
    """(N,) the way to a door, from the restaurant or from another of its doors."""
    offset_s: Floats
    """(N,) from the pickup to the drop-off."""


class Board(NamedTuple):
    """Room for the labels of one courier."""

    labels: Records
    """(M,) one more than are looked at, in which the next is made."""
    sets: Words
    """(M, W) the orders of each label."""
    latest: Ints
    """(N,) the latest label that ends at the order's door, or NOBODY."""
    hopes: Ints
    """(N,) the orders that may be worth taking."""
    hopes_s: Floats
    """(N,) what each of these could add at best, below zero."""
    trips: Ints
    """(T,) the trips that may be worth making."""
    onward_s: Floats
    """(SPANS, N) the least value of all that may follow a trip ending in a span at a door."""
    at_once_s: Floats
    """(SPANS, A) the least value of all that may follow from an arrival at a restaurant."""
    instead_s: Floats
    """(SPANS, N) the same at an order's restaurant, with other orders first."""


@inlined
def _aged_s(p: Problem, late_s: float) -> float:
    """Return what a delay counts, or for one below zero the least that it and any longer count."""
    if p.ageing_per_s > 0.0:
        late_s = max(late_s, -0.5 / p.ageing_per_s)
    return late_s + late_s * late_s * p.ageing_per_s


@inlined
def _has(words: Words, order: int) -> bool:
    return (words[order // WORD] >> np.uint64(order % WORD)) & np.uint64(1) != 0


@inlined
def _leg_s(p: Problem, near: Nearness, courier: int, restaurant: int) -> float:
    """Return the least way to a restaurant from any door, or from where the courier is now."""
    if p.couriers[courier]["bound"] == restaurant:
        return 0.0
    return min(near.restaurant_s[restaurant], p.to_restaurant[courier, restaurant])


@inlined
def _least_s(
    p: Problem, near: Nearness, courier: int, order: int, clock_s: float, leg_s: float
) -> float:
    """Return the least that an order can cost a courier who is free at `clock_s` or later."""
    row, who = p.orders[order], p.couriers[courier]
    picked_up_s = max(row["ready_s"], clock_s + leg_s + p.pickup_s / 2, 0.0)
    if picked_up_s > who["off_s"]:
        return np.inf
    dropped_off_s = picked_up_s + near.offset_s[order]
    cost_s = _aged_s(p, dropped_off_s - row["earliest_s"])
    if row["held_by"] not in (NOBODY, courier):
        cost_s += p.switch_price_s
    leave_s = dropped_off_s + p.dropoff_s / 2
    work_s = max(0.0, min(leave_s, who["off_s"]) - leave_s + p.dropoff_s + near.door_s[order])
    work_s += (leg_s + p.pickup_s / 2) / p.bundle_max
    return cost_s + p.work_price * work_s + who["order_price_s"]


@inlined
def _trip_s(
    p: Problem, pool: Pool, terms: Terms, trip: int, clock_s: float, leg_s: float
) -> tuple[float, float]:
    """Return what a trip adds to a value and when it ends, `leg_s` being the way to its pickup."""
    who = p.couriers[terms.courier]
    off_s = who["off_s"]
    there_s = max(clock_s + leg_s + p.pickup_s / 2, 0.0)
    soonest_s, latest_s = pool.soonest_s[trip], pool.latest_s[trip]
    into_s = min(max(there_s - soonest_s, 0.0), latest_s - soonest_s)
    mean_s = (soonest_s + latest_s) / 2 + into_s**2 / max(2 * (latest_s - soonest_s), INSTANT_S)
    picked_up_s = max(there_s, mean_s)
    if picked_up_s > off_s:
        return np.inf, np.inf
    left_s = picked_up_s + p.pickup_s / 2
    length = pool.lengths[trip]
    free_s = picked_up_s + pool.offsets_s[trip, length - 1] + p.dropoff_s / 2
    work_s = leg_s + p.pickup_s / 2 + min(left_s, off_s) - picked_up_s
    work_s += max(0.0, min(free_s, off_s) - left_s)
    added_s = p.work_price * work_s + who["order_price_s"] * length
    for k in range(length):
        order = pool.rows[trip, k]
        row = p.orders[order]
        added_s += _aged_s(p, picked_up_s + pool.offsets_s[trip, k] - row["earliest_s"])
        added_s -= terms.dual_s[order]
        if row["held_by"] not in (NOBODY, terms.courier):
            added_s += p.switch_price_s
    return added_s, free_s


@inlined
def _lengthened(
    p: Problem, pool: Pool, terms: Terms, b: Board, at: int, trip: int
) -> tuple[float, float]:
    """Return value and end of a label with one trip more, both inf when that breaks a limit."""
    label = b.labels[at]
    restaurant = p.orders[pool.rows[trip, 0]]["restaurant"]
    clock_s = label["clock_s"]
    if at == ROOT:
        if p.couriers[terms.courier]["bound"] == restaurant:
            added_s, free_s = _trip_s(p, pool, terms, trip, clock_s, 0.0)
            return added_s, free_s
        origin = terms.courier
    else:
        origin = p.couriers.shape[0] + _last(pool, label["trip"])
    leg_s = p.to_restaurant[origin, restaurant]
    added_s, free_s = _trip_s(p, pool, terms, trip, max(clock_s, 0.0), leg_s)
    return label["value_s"] + added_s, free_s


@inlined
def _last(pool: Pool, trip: int) -> int:
    return pool.rows[trip, pool.lengths[trip] - 1]


@inlined
def _hope(p: Problem, near: Nearness, terms: Terms, b: Board) -> int:
    """Fill `b.hopes` with the orders that could be worth their pay, and return their number."""
    count = 0
    for order in range(p.orders.shape[0]):
        if p.barred[order, terms.courier]:
            continue
        clock_s = p.couriers[terms.courier]["free_s"]
        leg_s = _leg_s(p, near, terms.courier, p.orders[order]["restaurant"])
        least_s = _least_s(p, near, terms.courier, order, clock_s, leg_s)
        if least_s < terms.dual_s[order]:
            b.hopes[count] = order
            b.hopes_s[count] = least_s - terms.dual_s[order]
            count += 1
    return count


@inlined
def _rest_s(
    p: Problem, near: Nearness, terms: Terms, b: Board, hopes: int, words: Words, clock_s: float
) -> float:
    """Return the least that the orders not in `words` could add after `clock_s`."""
    rest_s = 0.0
    for k in range(hopes):
        order = b.hopes[k]
        if not _has(words, order):
            leg_s = float(near.restaurant_s[p.orders[order]["restaurant"]])
            least_s = _least_s(p, near, terms.courier, order, max(clock_s, 0.0), leg_s)
            rest_s += min(0.0, least_s - float(terms.dual_s[order]))
    return rest_s


@inlined
def _select(p: Problem, pool: Pool, near: Nearness, terms: Terms, b: Board, hopes: int) -> int:
    """Fill `b.trips` with those that could be in a plan below the threshold; return their number.

    A trip can be worth less than nothing by itself and still lead to good ones, so what all other
    hopes are worth counts for it.
    """
    who = p.couriers[terms.courier]
    hoped_s = np.zeros(p.orders.shape[0])
    for k in range(hopes):
        hoped_s[b.hopes[k]] = b.hopes_s[k]
    all_s = hoped_s.sum() + _end_s_min(p, terms.courier)
    count = 0
    for trip in range(pool.rows.shape[0]):
        restaurant = int(p.orders[pool.rows[trip, 0]]["restaurant"])
        leg_s = _leg_s(p, near, terms.courier, restaurant)
        least_s = _trip_s(p, pool, terms, trip, who["free_s"], leg_s)[0] + all_s
        is_allowed = pool.sizes[trip] <= who["capacity"]
        for k in range(pool.lengths[trip]):
            order = pool.rows[trip, k]
            is_allowed = is_allowed and not p.barred[order, terms.courier]
            least_s -= hoped_s[order]
        if is_allowed and least_s < terms.keep_s:
            b.trips[count] = trip
            count += 1
    return count


@inlined
def _end_s_min(p: Problem, courier: int) -> float:
    """Return the least that the place where a plan ends can add to its cost."""
    return p.end_price * (p.orders["onward_s"].min() - p.couriers[courier]["onward_s"])


@inlined
def _span(clock_s: float) -> int:
    return min(int(clock_s / SPAN_S), SPANS - 1)


@compiled
def _foresee(
    p: Problem, pool: Pool, near: Nearness, terms: Terms, b: Board, hopes: int, trips: int
) -> None:
    """Fill `b.onward_s`, as if orders could be taken again, but not twice in a row.

    Times are rounded down to spans, and to be later is never worth more, so nothing that follows
    can be worth less than what is found here. From the last span on it is what `_rest_s` says.
    """
    is_door = np.zeros(p.orders.shape[0], dtype=np.bool_)
    is_open = np.zeros(p.between_restaurants.shape[0], dtype=np.bool_)
    for place in range(trips):
        is_door[_last(pool, b.trips[place])] = True
        is_open[p.orders[pool.rows[b.trips[place], 0]]["restaurant"]] = True
    doors, open_ = np.flatnonzero(is_door), np.flatnonzero(is_open)
    nobody = np.zeros(b.sets.shape[1], dtype=np.uint64)
    last_s = _rest_s(p, near, terms, b, hopes, nobody, (SPANS - 1) * SPAN_S)
    b.onward_s[SPANS - 1] = last_s + _end_s_min(p, terms.courier)
    b.at_once_s[SPANS - 1] = b.onward_s[SPANS - 1, 0]
    b.instead_s[SPANS - 1] = b.onward_s[SPANS - 1, 0]
    for span in range(SPANS - 2, -1, -1):
        b.at_once_s[span] = np.inf
        b.instead_s[span] = np.inf
        for place in range(trips):
            trip = b.trips[place]
            value_s, free_s = _trip_s(p, pool, terms, trip, span * SPAN_S, 0.0)
            if value_s == np.inf:
                continue
            value_s += b.onward_s[max(_span(free_s), span + 1), _last(pool, trip)]
            _note(p, pool, b, trip, span, value_s)
        for door in doors:
            _look_on(p, terms, b, span, int(door), open_)


@inlined
def _note(p: Problem, pool: Pool, b: Board, trip: int, span: int, value_s: float) -> None:
    """Note what a trip and all that may follow it are worth, begun at its restaurant in `span`."""
    restaurant = p.orders[pool.rows[trip, 0]]["restaurant"]
    b.at_once_s[span, restaurant] = min(b.at_once_s[span, restaurant], value_s)
    for order in range(p.orders.shape[0]):
        if p.orders[order]["restaurant"] == restaurant and not _has(pool.sets[trip], order):
            b.instead_s[span, order] = min(b.instead_s[span, order], value_s)


@inlined
def _look_on(p: Problem, terms: Terms, b: Board, span: int, door: int, open_: Ints) -> None:
    """Find the least value of what may follow a trip that ends in `span` at a door."""
    onward_s = p.orders[door]["onward_s"] - p.couriers[terms.courier]["onward_s"]
    least_s = p.end_price * onward_s
    origin = p.couriers.shape[0] + door
    for restaurant in open_:
        leg_s = float(p.to_restaurant[origin, restaurant])
        there = _span(span * SPAN_S + leg_s)
        value_s = b.at_once_s[there, restaurant]
        if restaurant == p.orders[door]["restaurant"]:
            value_s = b.instead_s[there, door]
        least_s = min(least_s, value_s + p.work_price * leg_s)
    b.onward_s[span, door] = least_s


@inlined
def _is_beaten(b: Board, keeps_twins: bool, new: int, door: int) -> bool:  # noqa: FBT001 (compiled)
    """Tell whether another label at the same door makes the new one needless; mark the converse."""
    label = b.labels[new]
    k = int(b.latest[door])
    while k != NOBODY:
        other = b.labels[k]
        if not other["is_beaten"]:
            is_part, is_whole = True, True
            for word in range(b.sets.shape[1]):
                both = b.sets[new, word] & b.sets[k, word]
                is_part = is_part and both == b.sets[k, word]
                is_whole = is_whole and both == b.sets[new, word]
            is_comparable = not keeps_twins or (is_part and is_whole)
            if is_comparable and is_part and _is_better(other, label):
                return True
            if is_comparable and is_whole and _is_better(label, other):
                other["is_beaten"] = True
        k = int(other["next"])
    return False


@inlined
def _is_better(one: np.void, other: np.void) -> bool:
    return (
        one["value_s"] <= other["value_s"]
        and one["clock_s"] <= other["clock_s"]
        and one["trips"] <= other["trips"]
    )


@inlined
def _plant(p: Problem, terms: Terms, b: Board, hopes: int) -> None:
    """Make the label of the empty plan."""
    b.latest[:] = NOBODY
    b.sets[ROOT] = np.uint64(0)
    root = b.labels[ROOT]
    root["value_s"], root["clock_s"] = 0.0, p.couriers[terms.courier]["free_s"]
    root["rest_s"] = b.hopes_s[:hopes].sum()
    root["trip"], root["before"], root["next"] = NOBODY, NOBODY, NOBODY
    root["trips"], root["is_beaten"] = 0, False


@inlined
def _is_apart(pool: Pool, b: Board, at: int, trip: int) -> bool:
    """Tell whether none of a trip's orders is in a label yet."""
    is_apart = True
    for word in range(b.sets.shape[1]):
        is_apart = is_apart and (b.sets[at, word] & pool.sets[trip, word]) == 0
    return is_apart


@inlined
def _sprout(pool: Pool, b: Board, at: int, new: int, trip: int) -> int:
    """Make the new label that one with a trip more is, but for its value; return its door."""
    for word in range(b.sets.shape[1]):
        b.sets[new, word] = b.sets[at, word] | pool.sets[trip, word]
    door = _last(pool, trip)
    fresh = b.labels[new]
    fresh["trip"], fresh["before"], fresh["next"] = trip, at, b.latest[door]
    fresh["trips"], fresh["is_beaten"] = b.labels[at]["trips"] + 1, False
    return door


@compiled
def grow(p: Problem, pool: Pool, near: Nearness, terms: Terms, b: Board) -> tuple[int, float]:
    """Grow all labels of a courier that matter; return their number and what was left undone.

    The second is the least value that a plan could have which there was no room to look into, inf
    when there was room for all.
    """
    hopes = _hope(p, near, terms, b)
    trips = _select(p, pool, near, terms, b, hopes)
    _foresee(p, pool, near, terms, b, hopes, trips)
    _plant(p, terms, b, hopes)
    end_s_min, undone_s = _end_s_min(p, terms.courier), np.inf
    count, at = 1, 0
    while at < count:
        label = b.labels[at]
        is_over = label["is_beaten"] or label["trips"] == p.trips_max
        for place in range(0 if is_over else trips):
            trip = b.trips[place]
            if not _is_apart(pool, b, at, trip):
                continue
            value_s, free_s = _lengthened(p, pool, terms, b, at, trip)
            onward_s = b.onward_s[_span(free_s), _last(pool, trip)] if free_s < np.inf else np.inf
            if value_s + max(label["rest_s"] + end_s_min, onward_s) >= terms.keep_s:
                continue
            door = _sprout(pool, b, at, count, trip)
            rest_s = _rest_s(p, near, terms, b, hopes, b.sets[count], free_s)
            if value_s + rest_s + end_s_min >= terms.keep_s:
                continue
            if count == terms.labels_max:
                undone_s = min(undone_s, value_s + max(rest_s + end_s_min, onward_s))
                continue
            fresh = b.labels[count]
            fresh["value_s"], fresh["clock_s"], fresh["rest_s"] = value_s, free_s, rest_s
            if not _is_beaten(b, terms.keeps_twins, count, door):
                b.latest[door] = count
                count += 1
        at += 1
    return count, undone_s
