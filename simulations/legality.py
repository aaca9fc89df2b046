"""Whether an order can have come from one status to another, over any number of messages.

Whoever compares what was seen of an order sees only some of its statuses. What lies between is read
from the tables by which the orders themselves move, so that the one cannot forget the other.
"""

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from dispatch.delivery import DELIVERY_LEGAL
from dispatch.kitchen import ORDER_LEGAL

type Legal[S] = Mapping[S, Mapping[type[Struct], S]]
type Reach[S] = Mapping[S, frozenset[S]]


def reach_of[S: Enum](legal: Legal[S]) -> Reach[S]:
    """Return what each status can have become, itself among them."""
    reach = {status: {status, *row.values()} for status, row in legal.items()}
    for middle, beyond in reach.items():
        for found in reach.values():
            found.update(beyond if middle in found else ())
    return {status: frozenset(found) for status, found in reach.items()}


ORDER_REACH = reach_of(ORDER_LEGAL)
DELIVERY_REACH = reach_of(DELIVERY_LEGAL)
