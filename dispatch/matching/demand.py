"""Where orders have been coming from lately, learned only from orders already placed.

Each order counts one for its restaurant and fades with time. The counts weigh restaurants against
each other when a plan asks how far a courier will have to drive for his next order; nobody is sent
anywhere by them alone.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from dispatch.ids import Instant, RestaurantId, elapsed_s


class Demand(Struct, frozen=True, kw_only=True):
    """Faded counts of orders per restaurant, as of the instant `at`."""

    at: Instant = Instant(0)
    counts: dict[RestaurantId, float] = field(default_factory=dict[RestaurantId, float])

    def after(self, at: Instant, placed: Iterable[RestaurantId], *, memory_s: float) -> "Demand":
        """Return the counts faded to `at` (halved each `memory_s`) plus those `placed`."""
        kept = _faded(self.counts, 2.0 ** (-elapsed_s(self.at, at) / memory_s))
        for one in placed:
            kept[one] = kept.get(one, 0.0) + 1.0
        return Demand(at=at, counts=kept)


def _faded(counts: Mapping[RestaurantId, float], share: float) -> dict[RestaurantId, float]:
    return {one: count * share for one, count in counts.items()}
