"""The inner loops of a round, compiled: what a route costs, where an order fits best, the search.

A route is a row of stops in the order of their drop-offs, each marked if it opens a new trip; the
pickup before a marked one is implied. An order can enter a route as a trip of its own before any
trip or behind the last, or join a trip of its restaurant at any place. Each entry is priced by
walking the route from where it changes, so nothing is approximated. `schedule` says the same in
plain Python and referees this module in the tests; with NUMBA_DISABLE_JIT=1 in the environment the
code below runs uncompiled, a hundred times slower and with the same results. What runs in a loop is
compiled into the loop: to hand a problem on, array by array, costs more than most of what is done
with it.

It is one file because of the compiler's cache (see `compiled`). The functions change the arrays of
a `Draft` and of a search's `Bench` and nothing else.
"""

import numpy as np

from dispatch.matching.compiled import lean, woven
from dispatch.matching.draft import Bench, Draft
from dispatch.matching.problem import INSTANT_S, Problem, Records
from dispatch.matching.snapshot import NOBODY, Floats, Ints

ALONE = 0
"""The order becomes a trip of its own."""
FIRST = 1
"""The order joins a trip as its first drop-off."""
LATER = 2
"""The order joins the trip of the drop-off before it."""

CANDIDATES, INSERTIONS, ITERATIONS, GAINS, STAMP = 0, 1, 2, 3, 4
"""The places of the counters in a draft's tally; the last only tells one look from the next."""

LOOKING, NOTING = 0, 1
"""What a walk along a route is for."""

GAIN_S_MIN = 1e-6
"""A plan must be so much cheaper to be better; less may be the rounding of sums."""
SLACK_S = 120.0
"""How far times that were rounded up may contradict each other on a way by way of somebody."""


@woven
def walk(  # noqa: PLR0913, PLR0915, PLR0917, C901 (one walk, which a call per trip would make slow)
    p: Problem,
    courier: int,
    stops: Records,
    start: int,
    length: int,
    clock_s: float,
    run_s: float,
    before: Records,
    limit_s: float,
    notes: int,
) -> tuple[float, float]:
    """Return the cost of a route but for its end, and the time it ends.

    The walk begins at the trip that `start` opens, with the time and the cost of what is before
    it. Both are inf when the route breaks a limit. A walk that only looks is along the stops of
    `before` with one more among them, and is given up, with inf, when it is dearer by `limit_s`
    than that was up to the same trip. Else the walk notes times and costs at the stops.
    """
    who = p.couriers[courier]
    off_s = float(who["off_s"])
    origin, begin = courier, start
    if start > 0:
        origin = p.couriers.shape[0] + stops[start - 1]["order"]
    while start < length:
        order = p.orders[stops[start]["order"]]
        restaurant = order["restaurant"]
        soonest_s, latest_s = float(order["soonest_s"]), float(order["latest_s"])
        share_per_s = float(order["share_per_s"])
        load = order["size"]
        stop = start + 1
        while stop < length and not stops[stop]["opens"]:
            other = p.orders[stops[stop]["order"]]
            soonest_s = max(soonest_s, float(other["soonest_s"]))
            latest_s = max(latest_s, float(other["latest_s"]))
            share_per_s = 1.0 / max(latest_s - soonest_s, INSTANT_S)
            load += other["size"]
            stop += 1
        if load > who["capacity"] or stop - start > p.bundle_max:
            return np.inf, np.inf
        if notes:
            stops[start]["clock_s"] = clock_s
            stops[start]["run_s"] = run_s
        elif start > begin and run_s - before[start - 1]["run_s"] > limit_s:
            return np.inf, np.inf
        work_s = 0.0
        if start > 0 or who["bound"] != restaurant:
            leg_s = float(p.to_restaurant[origin, restaurant])
            clock_s = max(clock_s, 0.0) + leg_s
            work_s += leg_s
        # The mean pickup, as `schedule` has it; branches would make the search a third slower.
        there_s = max(clock_s + p.pickup_s / 2, 0.0)
        into_s = min(max(there_s - soonest_s, 0.0), latest_s - soonest_s)
        mean_s = (soonest_s + latest_s + into_s * into_s * share_per_s) / 2
        picked_up_s = max(there_s, mean_s)
        if picked_up_s > off_s:
            return np.inf, np.inf
        clock_s = picked_up_s + p.pickup_s / 2
        work_s += p.pickup_s / 2 + min(clock_s, off_s) - picked_up_s
        leg_s = float(order["first_leg_s"])
        for k in range(start, stop):
            order = p.orders[stops[k]["order"]]
            if k > start:
                leg_s = float(p.between_dropoffs[stops[k - 1]["order"], stops[k]["order"]])
            leave_s = clock_s + leg_s + p.dropoff_s
            late_s = leave_s - p.dropoff_s / 2 - float(order["earliest_s"])
            run_s += late_s + late_s * late_s * p.ageing_per_s + float(who["order_price_s"])
            if order["held_by"] not in (NOBODY, courier):
                run_s += p.switch_price_s
            work_s += max(0.0, min(leave_s, off_s) - clock_s)
            clock_s = leave_s
        if stop - start > 1 and clock_s - p.dropoff_s / 2 - picked_up_s > p.bag_s_max:
            return np.inf, np.inf
        run_s += p.work_price * work_s
        origin = p.couriers.shape[0] + stops[stop - 1]["order"]
        start = stop
    return run_s, clock_s


@woven
def end_price_s(p: Problem, courier: int, stops: Records, length: int) -> float:
    """Return what the place costs where a route ends."""
    if length == 0:
        return 0.0
    here_s = p.couriers[courier]["onward_s"]
    return p.end_price * (p.orders[stops[length - 1]["order"]]["onward_s"] - here_s)


@woven
def enter(stops: Records, length: int, order: int, at: int, kind: int) -> None:
    """Make room at `at` in a row of stops and put `order` there."""
    for k in range(length, at, -1):
        stops[k]["order"] = stops[k - 1]["order"]
        stops[k]["opens"] = stops[k - 1]["opens"]
    stops[at]["order"] = order
    stops[at]["opens"] = kind != LATER
    if kind == FIRST:
        stops[at + 1]["opens"] = False


@woven
def _there_s(p: Problem, d: Draft, courier: int, at: int, restaurant: int) -> float:
    """Return when a courier is at a restaurant if he sets out for it at that place of his route."""
    route, stops = d.routes[courier], d.stops[courier]
    clock_s: float = stops[at]["clock_s"] if at < route["length"] else route["end_s"]
    origin = courier if at == 0 else p.couriers.shape[0] + stops[at - 1]["order"]
    if at == 0 and p.couriers[courier]["bound"] == restaurant:
        return clock_s
    return max(clock_s, 0.0) + p.to_restaurant[origin, restaurant]


@woven
def best_slot(  # noqa: C901, PLR0912 (one walk along the route)
    p: Problem, d: Draft, courier: int, order: int, most_s: float
) -> tuple[float, int, int]:
    """Return the least cost that `order` adds, the place and the kind.

    The cost is inf where the order fits nowhere, or nowhere for less than `most_s`.
    """
    best_s, best_at, best_kind = most_s, NOBODY, ALONE
    stops, route, trial = d.stops[courier], d.routes[courier], d.trial
    length = route["length"]
    restaurant = p.orders[order]["restaurant"]
    if p.barred[order, courier] or length >= stops.shape[0]:
        return np.inf, best_at, best_kind
    fair_s = min(0.0, p.couriers[courier]["order_price_s"]) * (length + 1)
    fair_s -= p.end_price * p.onward_span_s
    slack_s = SLACK_S - fair_s
    handed_s = p.pickup_s / 2 - p.orders[order]["ready_s"]
    for k in range(length):
        trial[k + 1]["order"] = stops[k]["order"]
        trial[k + 1]["opens"] = stops[k]["opens"]
    start = 0
    for at in range(length + 1):
        if at > 0:
            trial[at - 1]["order"] = stops[at - 1]["order"]
            trial[at - 1]["opens"] = stops[at - 1]["opens"]
        trial[at]["order"] = order
        is_border = at == length or stops[at]["opens"]
        for kind in range(ALONE, LATER + 1):
            neighbour = at if kind == FIRST else at - 1
            if kind != LATER and not is_border:
                continue
            if kind == ALONE and route["trips"] >= p.trips_max:
                continue
            if kind != ALONE and not 0 <= neighbour < length:
                continue
            if kind != ALONE and p.orders[stops[neighbour]["order"]]["restaurant"] != restaurant:
                continue
            begin = start if kind == LATER else at
            trial[at]["opens"] = kind != LATER
            if at < length:
                trial[at + 1]["opens"] = False if kind == FIRST else stops[at]["opens"]
            clock_s, run_s = route["end_s"], route["run_s"]
            if begin < length:
                clock_s, run_s = stops[begin]["clock_s"], stops[begin]["run_s"]
            if kind == ALONE:
                there_s = _there_s(p, d, courier, at, restaurant)
                if there_s + handed_s + fair_s >= best_s:
                    continue
            run_s, _ = walk(
                p,
                courier,
                trial,
                begin,
                length + 1,
                clock_s,
                run_s,
                stops,
                best_s + slack_s,
                LOOKING,
            )
            d.tally[INSERTIONS] += 1
            added_s = run_s + end_price_s(p, courier, trial, length + 1) - route["cost_s"]
            if added_s < best_s:
                best_s, best_at, best_kind = added_s, at, kind
        if at < length:
            trial[at + 1]["opens"] = stops[at]["opens"]
            if stops[at]["opens"]:
                start = at
    if best_at == NOBODY:
        best_s = np.inf
    return best_s, best_at, best_kind


@woven
def _mark(stops: Records, length: int) -> int:
    """Return a number that tells a row of stops from every other, but for one case in 10 ** 18."""
    one, other = 0, 0
    for k in range(length):
        stop = 2 * stops[k]["order"] + stops[k]["opens"] + 1
        one = (40_014 * one + stop) % 2_147_483_563
        other = (40_692 * other + stop) % 2_147_483_399
    return one << 31 | other


@woven
def known_slot(
    p: Problem, d: Draft, memo: Records, courier: int, order: int, most_s: float
) -> tuple[float, int, int]:
    """Return what `best_slot` does, from memory if it was asked that of this very route before."""
    mark, pair = d.routes[courier]["mark"], order << 32 | courier
    seat = memo[(mark ^ order * 73_856_093 ^ courier * 19_349_663) & (memo.shape[0] - 1)]
    is_there = seat["mark"] == mark and seat["pair"] == pair
    if not is_there or (seat["at"] == NOBODY and seat["added_s"] < most_s):
        added_s, at, kind = best_slot(p, d, courier, order, most_s)
        seat["mark"], seat["pair"], seat["at"], seat["kind"] = mark, pair, at, kind
        # Of a place that is not there it is remembered how dear it would be at least.
        seat["added_s"] = most_s if at == NOBODY else added_s
    if seat["at"] == NOBODY or seat["added_s"] >= most_s:
        return np.inf, NOBODY, ALONE
    return float(seat["added_s"]), int(seat["at"]), int(seat["kind"])


@woven
def refresh(p: Problem, d: Draft, courier: int) -> None:
    """Price a courier's route anew after it changed."""
    route, stops = d.routes[courier], d.stops[courier]
    length = route["length"]
    free_s = p.couriers[courier]["free_s"]
    run_s, end_s = walk(p, courier, stops, 0, length, free_s, 0.0, stops, np.inf, NOTING)
    trips = 0
    for k in range(length):
        trips += stops[k]["opens"]
    if trips > p.trips_max:
        run_s = np.inf
    route["trips"] = trips
    route["run_s"] = run_s
    route["cost_s"] = run_s + end_price_s(p, courier, stops, length)
    route["end_s"] = end_s
    route["mark"] = _mark(stops, length)
    route["end_at"] = courier
    if length > 0:
        route["end_at"] = p.couriers.shape[0] + stops[length - 1]["order"]


@lean
def settle(p: Problem, d: Draft) -> None:
    """Price the routes of a draft just laid out, and empty those that are not possible."""
    for courier in range(p.couriers.shape[0]):
        refresh(p, d, courier)
        if d.routes[courier]["cost_s"] == np.inf:
            d.routes[courier]["length"] = 0
            refresh(p, d, courier)
        for k in range(d.routes[courier]["length"]):
            d.courier[d.stops[courier, k]["order"]] = courier


@woven
def put(p: Problem, d: Draft, courier: int, order: int, at: int, kind: int) -> None:
    """Put `order` into a courier's route as `best_slot` said."""
    enter(d.stops[courier], d.routes[courier]["length"], order, at, kind)
    d.routes[courier]["length"] += 1
    d.courier[order] = courier
    refresh(p, d, courier)


@woven
def take_out(p: Problem, d: Draft, order: int) -> None:
    """Take `order` out of the route it is in, if any; the rest of its trip stays together."""
    courier = d.courier[order]
    if courier == NOBODY:
        return
    stops = d.stops[courier]
    last = d.routes[courier]["length"] - 1
    at = 0
    while stops[at]["order"] != order:
        at += 1
    if stops[at]["opens"] and at < last:
        stops[at + 1]["opens"] = True
    for k in range(at, last):
        stops[k]["order"] = stops[k + 1]["order"]
        stops[k]["opens"] = stops[k + 1]["opens"]
    d.routes[courier]["length"] = last
    d.courier[order] = NOBODY
    refresh(p, d, courier)


@woven
def _enlist(found: Ints, found_s: Floats, courier: int, there_s: float) -> None:
    """Put a courier among those found, the soonest first, if he is there soon enough."""
    room = found.shape[0]
    if room == 0 or there_s >= found_s[room - 1]:
        return
    k = room - 1
    while k > 0 and found_s[k - 1] > there_s:
        found_s[k], found[k] = found_s[k - 1], found[k - 1]
        k -= 1
    found_s[k], found[k] = there_s, courier


@woven
def soonest(p: Problem, d: Draft, restaurant: int, idle: Ints, after: Ints) -> None:
    """Fill in who of the idle is there first, and who of the busy after all they have to do."""
    idle[:] = NOBODY
    after[:] = NOBODY
    idle_s, after_s = d.soon_s[0], d.soon_s[1]
    d.soon_s[:] = np.inf
    for courier in range(p.couriers.shape[0]):
        route = d.routes[courier]
        if route["length"] == 0:
            _enlist(idle, idle_s, courier, p.reach_s[restaurant, courier])
            continue
        there_s = route["end_s"] + p.to_restaurant[route["end_at"], restaurant]
        if there_s <= p.couriers[courier]["off_s"]:
            _enlist(after, after_s, courier, there_s)


@woven
def _pick(p: Problem, d: Draft, order: int, courier: int, count: int) -> int:
    """Add a courier to those picked for `order` if he can be asked and is not there yet."""
    if courier == NOBODY or d.seen[courier] == d.tally[STAMP] or p.barred[order, courier]:
        return count
    if p.reach_s[p.orders[order]["restaurant"], courier] == np.inf:
        return count
    d.seen[courier] = d.tally[STAMP]
    d.picked[count] = courier
    return count + 1


@woven
def find_candidates(
    p: Problem, d: Draft, order: int, was_with: int, idle: Ints, after: Ints
) -> int:
    """Fill `d.picked` with couriers worth pricing for `order`, and return their number.

    They are who had it, everyone already serving its restaurant, the first to arrive as of now, the
    first of the `idle`, and those `after` who arrive first once they are through with their routes.
    """
    restaurant = p.orders[order]["restaurant"]
    d.tally[STAMP] += 1
    count = _pick(p, d, order, was_with, 0)
    for k in range(d.first[restaurant], d.first[restaurant + 1]):
        count = _pick(p, d, order, int(d.courier[d.of[k]]), count)
    for k in range(p.near.shape[1]):
        count = _pick(p, d, order, p.near[restaurant, k], count)
    for k in range(idle.shape[0]):
        count = _pick(p, d, order, idle[k], count)
    for k in range(after.shape[0]):
        count = _pick(p, d, order, after[k], count)
    d.tally[CANDIDATES] += count
    return count


@woven
def least_s(p: Problem, order: int, courier: int) -> float:
    """Return what `order` adds at least with a courier: he cannot be there before he can."""
    late_s = p.reach_s[p.orders[order]["restaurant"], courier] - p.orders[order]["ready_s"]
    fair_s = min(0.0, p.couriers[courier]["order_price_s"])
    return late_s + p.pickup_s / 2 + fair_s - p.end_price * p.onward_span_s


@woven
def offer(p: Problem, d: Draft, choice: np.void, courier: int) -> None:
    """Note what the order of `choice` would add with `courier`, if it is the least or second."""
    if least_s(p, choice["order"], courier) >= choice["second_s"]:
        return
    added_s, at, kind = best_slot(p, d, courier, choice["order"], choice["second_s"])
    if added_s < choice["added_s"]:
        choice["second_s"] = choice["added_s"]
        choice["added_s"] = added_s
        choice["courier"] = courier
        choice["at"] = at
        choice["kind"] = kind
    elif added_s < choice["second_s"]:
        choice["second_s"] = added_s


@lean
def choose(p: Problem, d: Draft, choice: np.void) -> None:
    """Find where the order of `choice` fits best, and what it would add with another courier."""
    order = choice["order"]
    choice["courier"] = NOBODY
    choice["added_s"] = np.inf
    choice["second_s"] = np.inf
    choice["is_stale"] = False
    idle, after = d.soon[0, : p.idle_max], d.soon[1, : p.after_max]
    soonest(p, d, int(p.orders[order]["restaurant"]), idle, after)
    for k in range(find_candidates(p, d, order, NOBODY, idle, after)):
        offer(p, d, choice, d.picked[k])


@lean
def rivals(p: Problem, d: Draft, order: int, found: Records) -> int:
    """Fill `found` (C,) with what `order` would add with each courier who could have it.

    Returns their number. The order is taken out for that, and is in no route afterwards.
    """
    take_out(p, d, order)
    idle, after = d.soon[0, : p.idle_max], d.soon[1, : p.after_max]
    soonest(p, d, int(p.orders[order]["restaurant"]), idle, after)
    count = 0
    for k in range(find_candidates(p, d, order, NOBODY, idle, after)):
        added_s, at, kind = best_slot(p, d, d.picked[k], order, np.inf)
        if added_s == np.inf:
            continue
        found[count]["order"] = order
        found[count]["courier"] = d.picked[k]
        found[count]["at"] = at
        found[count]["kind"] = kind
        found[count]["added_s"] = added_s
        count += 1
    return count


@woven
def _most_regretted(p: Problem, choices: Records) -> int:
    """Return the choice that would lose most by not getting its best."""
    most, most_s = 0, -np.inf
    for k in range(choices.shape[0]):
        left_out_s = p.orders[choices[k]["order"]]["leave_out_s"]
        regret_s = min(choices[k]["second_s"], left_out_s) - choices[k]["added_s"]
        if regret_s > most_s:
            most, most_s = k, regret_s
    return most


@lean
def fill(p: Problem, d: Draft, pool: Ints) -> None:
    """Insert the orders of `pool`, the most regretted first, where leaving out does not cost less.

    An insertion changes one route, so the other orders look again only at that courier, or at all
    of them if he was the best.
    """
    count = pool.shape[0]
    for k in range(count):
        d.choices[k]["order"] = pool[k]
        d.choices[k]["is_stale"] = True
    for left in range(count, 0, -1):
        for k in range(left):
            if d.choices[k]["is_stale"]:
                choose(p, d, d.choices[k])
        most = _most_regretted(p, d.choices[:left])
        order, courier = d.choices[most]["order"], d.choices[most]["courier"]
        added_s = d.choices[most]["added_s"]
        at, kind = d.choices[most]["at"], d.choices[most]["kind"]
        d.choices[most] = d.choices[left - 1]
        if courier == NOBODY or added_s >= p.orders[order]["leave_out_s"]:
            continue
        put(p, d, courier, order, at, kind)
        for k in range(left - 1):
            if d.choices[k]["courier"] == courier:
                d.choices[k]["is_stale"] = True
            elif not d.choices[k]["is_stale"]:
                offer(p, d, d.choices[k], courier)


@lean
def total_s(p: Problem, d: Draft) -> float:
    """Return the cost of the whole plan, orders left out included."""
    cost_s = 0.0
    for courier in range(d.routes.shape[0]):
        cost_s += d.routes[courier]["cost_s"]
    for order in range(d.courier.shape[0]):
        if d.courier[order] == NOBODY:
            cost_s += p.orders[order]["leave_out_s"]
    return cost_s


@lean
def copy(source: Draft, target: Draft) -> None:
    """Make `target` the same plan as `source`."""
    for courier in range(source.routes.shape[0]):
        target.routes[courier] = source.routes[courier]
        for k in range(source.routes[courier]["length"]):
            target.stops[courier, k] = source.stops[courier, k]
    for order in range(source.courier.shape[0]):
        target.courier[order] = source.courier[order]


GROUPED, TOUCHED, DONE = 0, 1, 2
"""The places of a bench's counts."""

KIN_SHARE = 0.6
"""How likely each of the kin is taken out, the closest asked first."""
EXCHANGES, ROUTES = 0.2, 0.1
"""The shares of iterations that exchange trips, and that take out all a courier has to do."""
EVEN = 0.5


@woven
def _drawn(b: Bench) -> float:
    """Return a number from [0, 1), by L'Ecuyer's two generators of 1988 combined."""
    b.dice[0] = 40_014 * b.dice[0] % 2_147_483_563
    b.dice[1] = 40_692 * b.dice[1] % 2_147_483_399
    return (b.dice[0] - b.dice[1]) % 2_147_483_562 / 2_147_483_562


@woven
def _below(b: Bench, count: int) -> int:
    """Return a whole number from 0 to `count` - 1."""
    return int(_drawn(b) * count)


@woven
def _touch(d: Draft, b: Bench, courier: int) -> None:
    """Keep a courier's route as it is before it changes for the first time in this iteration."""
    if b.touched_in[courier] == b.counts[DONE]:
        return
    b.touched_in[courier] = b.counts[DONE]
    place = b.counts[TOUCHED]
    b.touched[place] = courier
    b.kept[place] = d.routes[courier]
    for k in range(d.routes[courier]["length"]):
        b.kept_stops[place, k] = d.stops[courier, k]
    b.counts[TOUCHED] += 1


@lean
def _undo(d: Draft, b: Bench) -> None:
    """Make the draft what it was before this iteration."""
    for place in range(b.counts[TOUCHED]):
        courier = b.touched[place]
        for k in range(d.routes[courier]["length"]):
            d.courier[d.stops[courier, k]["order"]] = NOBODY
    for place in range(b.counts[TOUCHED]):
        courier = b.touched[place]
        d.routes[courier] = b.kept[place]
        for k in range(b.kept[place]["length"]):
            d.stops[courier, k] = b.kept_stops[place, k]
            d.courier[b.kept_stops[place, k]["order"]] = courier


@lean
def _change_s(p: Problem, d: Draft, b: Bench) -> float:
    """Return by how much this iteration has made the plan dearer."""
    change_s = 0.0
    for place in range(b.counts[TOUCHED]):
        change_s += float(d.routes[b.touched[place]]["cost_s"] - b.kept[place]["cost_s"])
    for k in range(b.counts[GROUPED]):
        order = b.group[k]
        is_out, was_out = d.courier[order] == NOBODY, b.was_with[k] == NOBODY
        change_s += (int(is_out) - int(was_out)) * float(p.orders[order]["leave_out_s"])
    return change_s


@woven
def _lift(p: Problem, d: Draft, b: Bench, order: int) -> None:
    """Take an order out and into the group."""
    courier = d.courier[order]
    place = b.counts[GROUPED]
    b.group[place] = order
    b.was_with[place] = courier
    b.counts[GROUPED] += 1
    if courier != NOBODY:
        _touch(d, b, courier)
        take_out(p, d, order)


@lean
def _lift_kin(p: Problem, d: Draft, b: Bench, seed: int, size: int) -> None:
    """Take out `seed` and orders akin to it, `size` in all; closer ones more often."""
    _lift(p, d, b, seed)
    for k in range(b.kin.shape[1]):
        if b.counts[GROUPED] >= size:
            break
        if _drawn(b) < KIN_SHARE:
            _lift(p, d, b, b.kin[seed, k])


@lean
def _lift_route(p: Problem, d: Draft, b: Bench, courier: int) -> None:
    """Take out all that a courier has to do."""
    _touch(d, b, courier)
    for k in range(d.routes[courier]["length"]):
        order = d.stops[courier, k]["order"]
        b.group[k] = order
        b.was_with[k] = courier
        d.courier[order] = NOBODY
    b.counts[GROUPED] = d.routes[courier]["length"]
    d.routes[courier]["length"] = 0
    refresh(p, d, courier)


@lean
def _reinsert(p: Problem, d: Draft, b: Bench) -> None:
    """Put the group back, in drawn order, each order where it costs least."""
    for left in range(b.counts[GROUPED], 0, -1):
        k = _below(b, left)
        order, was_with = b.group[k], b.was_with[k]
        b.group[k], b.was_with[k] = b.group[left - 1], b.was_with[left - 1]
        b.group[left - 1], b.was_with[left - 1] = order, was_with
        best_s = float(p.orders[order]["leave_out_s"])
        best, best_at, best_kind = NOBODY, 0, ALONE
        restaurant = p.orders[order]["restaurant"]
        idle, after = b.idle[restaurant], b.after[restaurant]
        for place in range(find_candidates(p, d, order, was_with, idle, after)):
            courier = d.picked[place]
            if least_s(p, order, courier) >= best_s:
                continue
            added_s, at, kind = known_slot(p, d, b.memo, courier, order, best_s)
            if added_s < best_s:
                best_s, best, best_at, best_kind = added_s, courier, at, kind
        if best != NOBODY:
            _touch(d, b, best)
            put(p, d, best, order, best_at, best_kind)


@woven
def _trip_of(d: Draft, courier: int, order: int) -> tuple[int, int]:
    """Return where the trip of an order begins and ends in its courier's route."""
    stops, length = d.stops[courier], d.routes[courier]["length"]
    start, at = 0, 0
    while stops[at]["order"] != order:
        at += 1
        if stops[at]["opens"]:
            start = at
    stop = at + 1
    while stop < length and not stops[stop]["opens"]:
        stop += 1
    return start, stop


@woven
def _append(target: Records, length: int, source: Records, start: int, stop: int) -> int:
    """Write some stops behind the first `length` of `target`, and return how many it has then."""
    for k in range(start, stop):
        target[length]["order"] = source[k]["order"]
        target[length]["opens"] = source[k]["opens"]
        length += 1
    return length


@woven
def _lay(p: Problem, d: Draft, b: Bench, courier: int, stops: Records, length: int) -> bool:
    """Give a courier another route, and tell whether it keeps all limits."""
    _touch(d, b, courier)
    if length > d.stops.shape[1]:
        return False
    for k in range(length):
        order = stops[k]["order"]
        if p.barred[order, courier]:
            return False
        d.stops[courier, k] = stops[k]
    d.routes[courier]["length"] = length
    refresh(p, d, courier)
    return d.routes[courier]["cost_s"] < np.inf


@lean
def _exchange(p: Problem, d: Draft, b: Bench, one: int, other: int, is_tail: bool) -> bool:  # noqa: FBT001
    """Exchange the trips of two orders between their couriers, or all from these trips on."""
    here, there = d.courier[one], d.courier[other]
    start, stop = _trip_of(d, here, one)
    begin, end = _trip_of(d, there, other)
    my_end, their_end = int(d.routes[here]["length"]), int(d.routes[there]["length"])
    if is_tail:
        stop, end = my_end, their_end
    a, c = d.stops[here], d.stops[there]
    mine, theirs = b.spare[0], b.spare[1]
    my_length = _append(mine, 0, a, 0, start)
    my_length = _append(mine, my_length, c, begin, end)
    my_length = _append(mine, my_length, a, stop, my_end)
    their_length = _append(theirs, 0, c, 0, begin)
    their_length = _append(theirs, their_length, a, start, stop)
    their_length = _append(theirs, their_length, c, end, their_end)
    is_sound = _lay(p, d, b, here, mine, my_length)
    is_sound = _lay(p, d, b, there, theirs, their_length) and is_sound
    if is_sound:
        for courier in (here, there):
            for k in range(d.routes[courier]["length"]):
                d.courier[d.stops[courier, k]["order"]] = courier
    return is_sound


@woven
def _changed(p: Problem, d: Draft, b: Bench, size: int) -> bool:
    """Change the plan in one of the ways there are; tell whether all limits are kept."""
    seed = _below(b, p.orders.shape[0])
    courier = d.courier[seed]
    kind = _drawn(b)
    if courier == NOBODY or kind >= EXCHANGES + ROUTES:
        _lift_kin(p, d, b, seed, 1 + _below(b, size))
    elif kind >= EXCHANGES:
        _lift_route(p, d, b, courier)
    else:
        kin = b.kin.shape[1]
        other = b.kin[seed, _below(b, kin)] if kin else seed
        if d.courier[other] == NOBODY or d.courier[other] == courier:
            return False
        return _exchange(p, d, b, seed, other, _drawn(b) < EVEN)
    _reinsert(p, d, b)
    return True


@lean
def find_soonest(p: Problem, d: Draft, b: Bench) -> None:
    """Fill in for each restaurant who is there first, of the idle and of the busy."""
    for restaurant in range(b.after.shape[0]):
        soonest(p, d, restaurant, b.idle[restaurant], b.after[restaurant])


@lean
def anneal(
    p: Problem, d: Draft, b: Bench, size: int, hot_s: float, first: int, last: int, total: int
) -> float:
    """Run the iterations from `first` to `last` of `total`, and return how much cheaper it got."""
    saved_s = 0.0
    for iteration in range(first, last):
        b.counts[GROUPED] = 0
        b.counts[TOUCHED] = 0
        b.counts[DONE] += 1
        d.tally[ITERATIONS] += 1
        change_s = np.inf
        if _changed(p, d, b, size):
            change_s = _change_s(p, d, b)
        heat_s = hot_s * (1 - iteration / total)
        if change_s < -heat_s * np.log(1 - _drawn(b)):
            saved_s -= change_s
            if change_s < -GAIN_S_MIN:
                d.tally[GAINS] += 1
        else:
            _undo(d, b)
    return saved_s


@lean
def hand_in(p: Problem, d: Draft, b: Bench) -> int:
    """Take one order, drawn, out of each route; return how many nobody has then, the group."""
    count = 0
    for order in range(p.orders.shape[0]):
        if d.courier[order] == NOBODY:
            b.group[count], b.was_with[count] = order, NOBODY
            count += 1
    for courier in range(p.couriers.shape[0]):
        length = int(d.routes[courier]["length"])
        if length > 0:
            order = d.stops[courier, _below(b, length)]["order"]
            b.group[count], b.was_with[count] = order, courier
            count += 1
            take_out(p, d, order)
    return count


@lean
def find_places(p: Problem, d: Draft, b: Bench, count: int) -> int:
    """Fill `b.places` with the cheapest places of each order of the group; return their number.

    The place with whoever handed it in is among them however dear: nothing has to get worse.
    """
    room = b.places.shape[0] // b.group.shape[0]
    found = 0
    for k in range(count):
        b.first[k] = found
        order = b.group[k]
        most_s = float(p.orders[order]["leave_out_s"])
        restaurant = p.orders[order]["restaurant"]
        idle, after = b.idle[restaurant], b.after[restaurant]
        back_s, back_at, back_kind = np.inf, 0, 0
        for place in range(find_candidates(p, d, order, b.was_with[k], idle, after)):
            courier = d.picked[place]
            if least_s(p, order, courier) >= most_s:
                continue
            added_s, at, kind = known_slot(p, d, b.memo, courier, order, most_s)
            if added_s == np.inf:
                continue
            if courier == b.was_with[k]:
                back_s, back_at, back_kind = added_s, at, kind
            found += found - b.first[k] < room
            _rank(b, b.first[k], found - 1, order, courier, at, kind, added_s)
            if found - b.first[k] == room:
                most_s = float(b.places[found - 1]["added_s"])
        if most_s < back_s < np.inf:
            _rank(b, found - 1, found - 1, order, b.was_with[k], back_at, back_kind, back_s)
    b.first[count] = found
    return found


@woven
def _rank(
    b: Bench, first: int, last: int, order: int, courier: int, at: int, kind: int, added_s: float
) -> None:
    """Note a place in the stead of the `last`, and move it ahead of the dearer ones."""
    k = last
    while k > first and added_s < b.places[k - 1]["added_s"]:
        b.places[k] = b.places[k - 1]
        k -= 1
    b.places[k]["order"] = order
    b.places[k]["courier"] = courier
    b.places[k]["at"] = at
    b.places[k]["kind"] = kind
    b.places[k]["added_s"] = added_s


@lean
def deal(p: Problem, d: Draft, b: Bench, chosen: Ints) -> None:
    """Give each order of the group the place chosen for it, if any."""
    for k in range(chosen.shape[0]):
        if chosen[k] != NOBODY:
            one = b.places[chosen[k]]
            courier, order = int(one["courier"]), int(one["order"])
            put(p, d, courier, order, int(one["at"]), int(one["kind"]))
