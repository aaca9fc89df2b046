"""Which orders are akin: what a search takes out of a plan together.

Kin are close in place and in time of pickup. They are found once for a search, and for each order
only the closest are kept.
"""

import numpy as np

from dispatch.matching.compiled import compiled
from dispatch.matching.problem import Problem
from dispatch.matching.snapshot import Ints


@compiled
def find_kin(p: Problem, kin: Ints) -> None:
    """Fill in for each order the others closest to it in place and time of pickup."""
    orders, room = kin.shape
    apart_s = np.empty(room)
    for order in range(orders):
        here, ready_s = p.orders[order]["restaurant"], p.orders[order]["ready_s"]
        apart_s[:] = np.inf
        for other in range(orders):
            if other == order:
                continue
            gap_s = abs(p.orders[other]["ready_s"] - ready_s)
            if gap_s >= apart_s[room - 1]:
                continue
            gap_s += p.between_restaurants[here, p.orders[other]["restaurant"]]
            if gap_s >= apart_s[room - 1]:
                continue
            k = room - 1
            while k > 0 and apart_s[k - 1] > gap_s:
                apart_s[k], kin[order, k] = apart_s[k - 1], kin[order, k - 1]
                k -= 1
            apart_s[k], kin[order, k] = gap_s, other
