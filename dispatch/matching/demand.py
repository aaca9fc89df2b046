"""Where orders come from lately and how soon they are ready: learned from orders placed only.

Each order counts one for its restaurant, together with its lead (the time from its being placed to
its being ready), and fades with time. The counts weigh restaurants against each other when a plan
asks how far a courier will have to drive for his next order; as a forecast they say where an idle
courier should wait. What has not been placed yet is never looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from msgspec import Struct, field

from dispatch.ids import Instant, RestaurantId, elapsed_s
from dispatch.matching.snapshot import Floats

LEADS_PRIOR = 2.0
"""A restaurant's lead is taken to be the market's until so many of its own orders say otherwise."""


class Asked(Struct, frozen=True):
    """An order that has come up: where, and in how many seconds its food was to be ready."""

    restaurant_id: RestaurantId
    lead_s: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of R restaurants."""

    per_s: Floats
    """(R,) orders a second."""
    lead_s: Floats
    """(R,) from an order's being placed to its being ready."""


class Demand(Struct, frozen=True, kw_only=True):
    """Faded counts of orders per restaurant, and as faded sums of their leads, as of `at`."""

    at: Instant = Instant(0)
    counts: dict[RestaurantId, float] = field(default_factory=dict[RestaurantId, float])
    leads_s: dict[RestaurantId, float] = field(default_factory=dict[RestaurantId, float])

    def after(self, at: Instant, asked: Iterable[Asked], *, memory_s: float) -> "Demand":
        """Return what is known at `at`: all faded (halved each `memory_s`) plus those `asked`."""
        share = 2.0 ** (-elapsed_s(self.at, at) / memory_s)
        counts, leads_s = _faded(self.counts, share), _faded(self.leads_s, share)
        for one in asked:
            here = one.restaurant_id
            counts[here] = counts.get(here, 0.0) + 1.0
            leads_s[here] = leads_s.get(here, 0.0) + max(0.0, one.lead_s)
        return Demand(at=at, counts=counts, leads_s=leads_s)

    def forecast(self, restaurants: Sequence[RestaurantId], *, memory_s: float) -> Forecast:
        """Return what these restaurants are expected to get, as if the recent past went on."""
        counts = np.array([self.counts.get(one, 0.0) for one in restaurants], dtype=np.float64)
        leads_s = np.array([self.leads_s.get(one, 0.0) for one in restaurants], dtype=np.float64)
        usual_s = sum(self.leads_s.values()) / max(1e-9, sum(self.counts.values()))
        return Forecast(
            per_s=counts * log(2) / memory_s,
            lead_s=(leads_s + LEADS_PRIOR * usual_s) / (counts + LEADS_PRIOR),
        )


def _faded(counts: Mapping[RestaurantId, float], share: float) -> dict[RestaurantId, float]:
    return {one: count * share for one, count in counts.items()}
