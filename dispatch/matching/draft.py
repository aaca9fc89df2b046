"""A plan while it is being made: rows of stops in arrays, as compiled code takes and changes them.

Only shapes are here. Whatever fills them is in `construction` and `improve`, and whatever changes
them in `insertion`.
"""

from typing import NamedTuple

import numpy as np

from dispatch.matching.problem import Records
from dispatch.matching.snapshot import Floats, Ints

STOP = np.dtype(
    [
        ("order", np.int64),
        ("opens", np.int64),
        ("clock_s", np.float64),
        ("run_s", np.float64),
    ]
)
"""A drop-off. Where it opens a trip: when its courier can set out for that, and the cost so far."""

ROUTE = np.dtype(
    [
        ("length", np.int64),
        ("trips", np.int64),
        ("cost_s", np.float64),
        ("run_s", np.float64),
        ("end_s", np.float64),
        ("end_at", np.int64),
        ("mark", np.int64),
    ]
)
"""A route's stops and trips, what it costs, the part of that which is not the price of its end, and
when and at which origin the courier is through with it, and what tells its stops from others."""

CHOICE = np.dtype(
    [
        ("order", np.int64),
        ("courier", np.int64),
        ("at", np.int64),
        ("kind", np.int64),
        ("added_s", np.float64),
        ("second_s", np.float64),
        ("is_stale", np.int64),
    ]
)
"""Where an order fits best, what it adds there, and what it would add with another courier."""


SEAT = np.dtype(
    [
        ("mark", np.int64),
        ("pair", np.int64),
        ("added_s", np.float64),
        ("at", np.int32),
        ("kind", np.int32),
    ]
)
"""What an order adds in its best place of a route, remembered. Where it has no place, `at` is
NOBODY, and `added_s` what it would add at least. `pair` is the order and the courier in one."""


class Draft(NamedTuple):
    """A plan in the making. L is the longest that a route can get."""

    routes: Records
    """(C,)"""
    stops: Records
    """(C, L)"""
    courier: Ints
    """(N,) who has the order, or NOBODY."""
    tally: Ints
    """(5,) what has been looked at so far."""
    trial: Records
    """(L + 1,) the route being priced."""
    picked: Ints
    """(C,) the candidates found for the order in hand."""
    seen: Ints
    """(C,) the stamp of the last look at which the courier was picked."""
    soon: Ints
    """(2, S) who is first at a restaurant, of the idle and of the busy,"""
    soon_s: Floats
    """(2, S) and when."""
    choices: Records
    """(N,) of the orders waiting to be inserted."""
    first: Ints
    """(A + 1,) where the orders of each restaurant begin in `of`."""
    of: Ints
    """(N,) the orders by restaurant."""


class Bench(NamedTuple):
    """What a search works with beside the draft. R is how many routes a change may touch."""

    kin: Ints
    """(N, K) the orders closest to each in place and time of pickup, the closest first."""
    idle: Ints
    """(A, I) the idle couriers first at a restaurant,"""
    after: Ints
    """(A, B) and the busy ones, after all they have to do."""
    group: Ints
    """(N,) the orders taken out."""
    was_with: Ints
    """(N,) who had them."""
    touched: Ints
    """(C,) the couriers whose routes have changed."""
    touched_in: Ints
    """(C,) the iteration in which a courier's route changed last."""
    kept: Records
    """(C,) their routes before that, in the order of `touched`."""
    kept_stops: Records
    """(C, L)"""
    spare: Records
    """(2, 2 L) two routes in the making."""
    memo: Records
    """(M,) seats, M a power of two."""
    places: Records
    """(N P,) the cheapest places of the orders that are dealt anew, those of one together."""
    first: Ints
    """(N + 1,) where the places of each order of the group begin."""
    dice: Ints
    """(2,) where the two generators stand."""
    counts: Ints
    """(3,) orders in `group`, couriers in `touched`, iterations so far."""
