"""A referee of what couriers may be asked to do, by what they were seen doing.

It knows nothing of actors, rounds or plans. It sees couriers come on shift, set out, collect and
deliver, and counts each pickup that nobody should have been asked for: after the end of a shift or
of the longest one allowed, with more in the bag than fits, or after so long without a rest. A rest
is the time between the last delivery, the bag being empty, and the next setting out.

A round looks every few seconds and food may be late, so a pickup counts only when it is later than
it may be by more than `GRACE_S`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dispatch.ids import CourierId, Instant, OrderId, after
from dispatch.policy import Safety

GRACE_S = 120.0


class Violation(StrEnum):
    """What nobody should have been asked for."""

    AFTER_SHIFT = "picked up after the shift"
    TOO_LONG_ON_SHIFT = "picked up after too long on shift"
    NO_REST = "picked up after too long without a rest"
    TOO_MUCH = "more in the bag than fits"


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What was seen of one courier. His stretch began at `stretch_at`; he rests since `idle_at`."""

    began_at: Instant
    ends_at: Instant
    load_max: int
    stretch_at: Instant
    idle_at: Instant | None
    bag: set[OrderId] = field(default_factory=set[OrderId])


class SafetyReferee:
    """Counts violations, by courier."""

    def __init__(self, safety: Safety) -> None:
        """Hold everybody to these limits."""
        self._safety = safety
        self._seen: dict[CourierId, _Seen] = {}
        self.violations: dict[CourierId, Counter[Violation]] = {}

    def begins(self, courier: CourierId, at: Instant, ends_at: Instant, load_max: int) -> None:
        """See a courier come on shift."""
        self._seen[courier] = _Seen(
            began_at=at, ends_at=ends_at, load_max=load_max, stretch_at=at, idle_at=at
        )

    def sets_out(self, courier: CourierId, at: Instant) -> None:
        """See a courier set out for a restaurant: his rest is over, if it was one."""
        seen = self._seen[courier]
        if seen.idle_at is not None and at >= after(seen.idle_at, self._safety.rest_s):
            seen.stretch_at = at
        seen.idle_at = None

    def collects(self, courier: CourierId, orders: Sequence[OrderId], at: Instant) -> None:
        """See a courier collect, and find whether he should have been asked to."""
        self.sets_out(courier, at)
        seen = self._seen[courier]
        seen.bag.update(orders)
        for violation in self._found(seen, at):
            self.violations.setdefault(courier, Counter())[violation] += 1

    def delivers(self, courier: CourierId, order: OrderId, at: Instant) -> None:
        """See a courier deliver; with an empty bag he may rest."""
        seen = self._seen[courier]
        seen.bag.discard(order)
        if not seen.bag:
            seen.idle_at = at

    def count(self, courier: CourierId) -> int:
        """Return how many violations there were with this courier."""
        return self.violations.get(courier, Counter[Violation]()).total()

    def _found(self, seen: _Seen, at: Instant) -> list[Violation]:
        limits = {
            Violation.AFTER_SHIFT: seen.ends_at,
            Violation.TOO_LONG_ON_SHIFT: after(seen.began_at, self._safety.shift_s_max),
            Violation.NO_REST: after(seen.stretch_at, self._safety.stretch_s_max),
        }
        late = [what for what, until in limits.items() if at > after(until, GRACE_S)]
        return [*late, Violation.TOO_MUCH] if len(seen.bag) > seen.load_max else late
