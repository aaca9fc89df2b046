"""Where idle couriers wait: a few of them are sent to restaurants that expect work.

The next order of a restaurant will wait for its courier as long as he arrives after its food is
ready. Who arrives first depends on where everybody is, and on who is gone by then: the nearest
courier counts with the likelihood that he is still free, the second nearest with the likelihood
that the nearest is not, and so on. So a courier is worth most where orders are many, their leads
short and colleagues far, a second one at the same corner is worth less than the first, and leaving
a place costs what he was worth there. Couriers move one by one, the greatest gain first, as long as
the seconds that customers gain outweigh the seconds driven, each at Policy's price.

Only who has nothing to do and nothing planned is moved; nobody towards the end of his shift, and
nobody who has just come to wait where he is. Nothing is known here of orders not yet placed.
"""

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from dispatch.ids import CourierId, RestaurantId
from dispatch.matching.compiled import compiled, inlined
from dispatch.matching.demand import Forecast
from dispatch.matching.plan import Plan
from dispatch.matching.schedule import schedule
from dispatch.matching.snapshot import NOBODY, Floats, Ints, Snapshot
from dispatch.policy import Policy
from geo.point import Point
from geo.travel import TravelTimes

RANKS = 4
"""How many of the nearest couriers count for a restaurant."""
GOALS_MAX = 256
"""Restaurants looked at by one round, the busiest."""
MOVERS_MAX = 48
"""Couriers that one round looks at; where more are idle, rounds take turns."""
WAIT_S_MAX = 3_600.0
"""What counts as the wait of an order for which there is nobody."""

_MS_PER_S = 1000


class Move(Struct, frozen=True):
    """A decision: this courier is to wait at that restaurant."""

    courier_id: CourierId
    restaurant_id: RestaurantId


class Outlook(NamedTuple):
    """C couriers, R restaurants that expect orders, and M of the couriers who could move."""

    waits_s: Floats
    """(C, R) how long an order would wait for that courier, as things stand."""
    there_s: Floats
    """(R, R) how long an order of the second would wait for a courier who stands at the first."""
    per_s: Floats
    """(R,) orders a second."""
    shares: Floats
    """(K,) how likely each of the K nearest couriers is to be the nearest who is still free."""
    movers: Ints
    """(M,)"""
    legs_s: Floats
    """(M, R) the ways to each restaurant."""
    spans_s: Floats
    """(M,) for how long from now a courier is of use."""
    drive_price: float
    leg_s_max: float


def reposition(
    known: Snapshot,
    plan: Plan,
    forecast: Forecast,
    policy: Policy,
    travel: TravelTimes,
    advised: Mapping[CourierId, RestaurantId],
) -> tuple[Move, ...]:
    """Return who is to wait elsewhere, couriers in the order of `known`.

    `advised` are on their way to such a place already; they are counted there, and not moved again.
    """
    movers, goals = _movers(known, plan, policy, advised), _goals(forecast)
    if not policy.repositioning.drive_price or not len(movers) or not len(goals):
        return ()
    ends = _ends(known, plan, policy, travel, advised)
    o = _outlook(known, ends, forecast, movers, goals, policy, travel)
    chosen = sent(o, policy.repositioning.moves_max)
    moved = chosen != NOBODY
    couriers: list[int] = movers[moved].tolist()
    places: list[int] = goals[chosen[moved]].tolist()
    return tuple(
        Move(known.courier_ids[courier], known.restaurant_ids[place])
        for courier, place in zip(couriers, places, strict=True)
    )


def warm_up() -> None:
    """Have the code compiled before a round waits for it."""
    none, one = np.zeros((1, 1)), np.zeros(1)
    shares, movers = _shares(0.5), np.zeros(1, dtype=np.int64)
    sent(Outlook(none, none, one, shares, movers, none, one, 1.0, 0.0), 1)


def waits_s(arrival_s: Floats, lead_s: Floats, work_price: float) -> Floats:
    """Return how long orders are expected to wait for a courier who arrives after `arrival_s`.

    Leads differ from order to order; they are taken to be spread evenly from none to twice the
    expected, which is about as wide as they are on real days. The way itself counts too, at the
    price of a courier's work.
    """
    twice_s = 2.0 * np.maximum(lead_s, 1.0)
    early_s = np.minimum(arrival_s, twice_s)
    late_s = early_s**2 / (2.0 * twice_s) + np.maximum(arrival_s - twice_s, 0.0)
    return np.minimum(late_s + work_price * arrival_s, WAIT_S_MAX)


def _movers(known: Snapshot, plan: Plan, policy: Policy, advised: Container[CourierId]) -> Ints:
    """Return who could be moved, or as many of them as this round may, by turns."""
    stays = (known.bound != NOBODY) & (known.free_s > -policy.repositioning.stay_s)
    goes = [one in plan.trips or one in advised for one in known.courier_ids]
    goes_on = stays | np.array(goes, dtype=np.bool_)
    idle = np.flatnonzero((known.free_s <= 0) & ~goes_on & (known.off_s > 0))
    turn = int(known.at / (policy.round_s * _MS_PER_S))
    return np.sort(np.roll(idle, -turn * MOVERS_MAX)[:MOVERS_MAX]) if len(idle) else idle


def _goals(forecast: Forecast) -> Ints:
    """Return the restaurants that expect orders, the busiest if there are too many."""
    busiest = np.argsort(-forecast.per_s, kind="stable")[:GOALS_MAX]
    return np.sort(busiest[forecast.per_s[busiest] > 0])


def _outlook(
    known: Snapshot,
    ends: tuple[Floats, Floats],
    forecast: Forecast,
    movers: Ints,
    goals: Ints,
    policy: Policy,
    travel: TravelTimes,
) -> Outlook:
    """Return what there is to decide; arrays are given the one form that code is compiled for."""
    wished, (free_s, free_xy) = policy.repositioning, ends
    places, lead_s = known.restaurant_xy[goals], forecast.lead_s[goals]
    legs_s, price = travel.matrix_s(free_xy, places), policy.matching.work_price
    between_s = travel.matrix_s(places, places)
    return Outlook(
        waits_s=np.ascontiguousarray(waits_s(free_s[:, None] + legs_s, lead_s, price)),
        there_s=np.ascontiguousarray(waits_s(between_s, lead_s, price)),
        per_s=forecast.per_s[goals],
        shares=_shares(wished.busy_share),
        movers=movers,
        legs_s=np.ascontiguousarray(legs_s[movers]),
        spans_s=np.minimum(wished.horizon_s, known.off_s[movers]),
        drive_price=float(wished.drive_price),
        leg_s_max=float(wished.leg_s_max),
    )


def _shares(busy_share: float) -> Floats:
    """Return how likely each of the nearest couriers is to be the nearest who is still free."""
    return (1.0 - busy_share) * busy_share ** np.arange(RANKS, dtype=np.float64)


def _ends(
    known: Snapshot,
    plan: Plan,
    policy: Policy,
    travel: TravelTimes,
    advised: Mapping[CourierId, RestaurantId],
) -> tuple[Floats, Floats]:
    """Return when and where each courier is through with what is planned for him, or advised."""
    free_s, free_xy = np.maximum(known.free_s, 0.0), known.free_xy.copy()
    row_of = {one: row for row, one in enumerate(known.order_ids)}
    planned = schedule(known, plan, policy, travel)
    for courier, one in enumerate(known.courier_ids):
        if one in planned:
            last = planned[one][-1]
            free_s[courier] = last.dropoff_s[-1] + policy.dropoff_s / 2
            free_xy[courier] = known.dropoff_xy[row_of[last.order_ids[-1]]]
        elif one in advised:
            place = Point(*known.restaurant_xy[known.restaurant_ids.index(advised[one])].tolist())
            free_s[courier] += travel.seconds(Point(*free_xy[courier].tolist()), place)
            free_xy[courier] = (place.x_m, place.y_m)
    return free_s, free_xy


@inlined
def _rank(waits: Floats, nearest: Floats, who: Ints) -> None:
    """Fill `nearest` (R, K) with each restaurant's least waits, and `who` with whose they are."""
    last = nearest.shape[1] - 1
    for place in range(waits.shape[1]):
        nearest[place] = WAIT_S_MAX
        who[place] = NOBODY
        for courier in range(waits.shape[0]):
            wait_s = waits[courier, place]
            if wait_s >= nearest[place, last]:
                continue
            k = last
            while k > 0 and nearest[place, k - 1] > wait_s:
                nearest[place, k], who[place, k] = nearest[place, k - 1], who[place, k - 1]
                k -= 1
            nearest[place, k], who[place, k] = wait_s, courier


@inlined
def _without(courier: int, nearest: Floats, who: Ints, others: Floats) -> None:
    """Fill `others` (R, K - 1) with the least waits if `courier` were not there."""
    for place in range(others.shape[0]):
        k = 0
        for rank in range(others.shape[1]):
            if who[place, k] == courier:
                k += 1
            others[place, rank] = nearest[place, k]
            k += 1


@inlined
def _worth(waits: Floats, others: Floats, per_s: Floats, shares: Floats) -> float:
    """Return the customers' seconds a second that a courier of these `waits` saves."""
    worth = 0.0
    for place in range(others.shape[0]):
        wait_s = waits[place]
        if wait_s >= others[place, -1]:
            continue
        saved_s = 0.0
        for rank in range(others.shape[1]):
            if wait_s < others[place, rank]:
                saved_s += shares[rank] * (others[place, rank] - wait_s)
                wait_s = others[place, rank]
        worth += per_s[place] * saved_s
    return worth


@inlined
def _best(o: Outlook, mover: int, waits: Floats, others: Floats) -> tuple[float, int]:
    """Return the most that moving `mover` gains in customers' seconds, and where; or 0, NOBODY.

    On the way he is of more use with each second, and so half the way counts.
    """
    best_s, best = 0.0, NOBODY
    span_s = o.spans_s[mover]
    here = _worth(waits, others, o.per_s, o.shares)
    for place in range(o.per_s.shape[0]):
        leg_s = o.legs_s[mover, place]
        if leg_s > o.leg_s_max or leg_s >= span_s:
            continue
        there = _worth(o.there_s[place], others, o.per_s, o.shares)
        gain_s = (there - here) * (span_s - leg_s / 2.0) - o.drive_price * leg_s
        if gain_s > best_s:
            best_s, best = gain_s, place
    return best_s, best


@compiled
def sent(o: Outlook, moves_max: int) -> Ints:
    """Return the restaurant that each mover is sent to, or NOBODY.

    Moves are made greedily. What others do mostly lessens a mover's gain, so it is enough to look
    at the one again who seems to gain most: he is sent if he gains no less than it seemed.
    """
    places, count, ranks = o.per_s.shape[0], o.movers.shape[0], o.shares.shape[0]
    waits = o.waits_s.copy()
    nearest = np.empty((places, ranks + 1))
    who = np.empty((places, ranks + 1), dtype=np.int64)
    others = np.empty((places, ranks))
    goals = np.full(count, NOBODY)
    gains_s = np.full(count, np.inf)
    _rank(waits, nearest, who)
    moves = 0
    while moves < moves_max:
        mover = int(np.argmax(gains_s))
        courier, seemed_s = o.movers[mover], gains_s[mover]
        if seemed_s <= 0.0:
            break
        _without(courier, nearest, who, others)
        gain_s, goal = _best(o, mover, waits[courier], others)
        gains_s[mover] = gain_s
        if goal != NOBODY and gain_s >= seemed_s:
            goals[mover], gains_s[mover] = goal, 0.0
            waits[courier] = o.there_s[goal]
            _rank(waits, nearest, who)
            moves += 1
    return goals
