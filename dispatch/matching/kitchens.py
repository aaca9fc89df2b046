"""When food will really be ready: what kitchens say, weighed against how long their food takes.

A kitchen names a time when it accepts an order, and errs. What is learned of a market is how far
its kitchens are off on average and how widely, how widely their cooking times vary, and how much
both go together; and of each kitchen its own usual cooking time. From that follows how much a word
is worth: the weight that would have erred least. Where kitchens keep their word it is everything,
and nothing here changes it; where they guess it is drawn to what the kitchen usually takes.

Food that is not ready yet will not have been ready before now: what is left of the likely times
moves on with the clock. A plan takes their mean and how widely they are spread about it, and
expects pickups by both. Only orders that became ready are learned from.
"""

from collections.abc import Iterable
from math import erfc, exp, pi, sqrt

from msgspec import Struct, field, structs

from dispatch.ids import RestaurantId
from dispatch.matching.snapshot import OpenOrder

LEARNED_MIN = 20
"""Orders after which kitchens are doubted; until then their word is all there is."""
MEMORY = 400.0
"""Orders after which one counts a third in what the market is known for."""
OWN_PRIOR = 4.0
"""A kitchen's usual time is the market's until so many of its own orders say otherwise."""
OWN_MAX = 5_000
"""Kitchens remembered by themselves; the one that cooked least lately makes way."""
BELIEVED_S_MAX = 3 * 3_600.0
"""Cooking times and errors beyond that are mistakes, and nothing is learned from them."""

FAR = 6.0
"""Spreads beyond the middle at which what is left is taken from the tail."""


class Cooked(Struct, frozen=True):
    """An order that became ready: after how long, and how much later than its kitchen had said."""

    restaurant_id: RestaurantId
    took_s: float
    late_s: float


class Kitchens(Struct, frozen=True, kw_only=True):
    """What is known of a market's kitchens. Moments fade with every order learned."""

    learned: float = 0.0
    took_s: float = 0.0
    late_s: float = 0.0
    took_var: float = 0.0
    """Of the cooking time around its kitchen's usual one, in square seconds; so the next two."""
    late_var: float = 0.0
    both_var: float = 0.0
    own: dict[RestaurantId, tuple[float, float]] = field(
        default_factory=dict[RestaurantId, tuple[float, float]]
    )
    """Of each kitchen, how much it cooked lately, and the mean of how long that took."""

    def after(self, cooked: Iterable[Cooked]) -> "Kitchens":
        """Return what is known after some more orders became ready."""
        known = self
        for one in cooked:
            if 0 <= one.took_s <= BELIEVED_S_MAX and abs(one.late_s) <= BELIEVED_S_MAX:
                known = known._after(one)
        return known

    def _after(self, one: Cooked) -> "Kitchens":
        share = 1 / (min(self.learned, MEMORY) + 1)
        over_s = one.took_s - self.usual_s(one.restaurant_id) if self.learned else 0.0
        late_s = self.late_s + share * (one.late_s - self.late_s)
        off_s = one.late_s - late_s
        return structs.replace(
            self,
            learned=self.learned + 1,
            took_s=self.took_s + share * (one.took_s - self.took_s),
            late_s=late_s,
            took_var=self.took_var + share * (over_s**2 - self.took_var),
            late_var=self.late_var + share * (off_s**2 - self.late_var),
            both_var=self.both_var + share * (over_s * off_s - self.both_var),
            own=_with(self.own, one),
        )

    def usual_s(self, restaurant_id: RestaurantId) -> float:
        """Return how long a kitchen takes on average, drawn to the market's average."""
        count, mean_s = self.own.get(restaurant_id, (0.0, 0.0))
        return (OWN_PRIOR * self.took_s + count * mean_s) / (OWN_PRIOR + count)

    def believed(self, order: OpenOrder) -> OpenOrder:
        """Return an order with the time at which its food is expected, and with its spread."""
        if order.said_s is None or self.learned < LEARNED_MIN:
            return order
        weight, spread_s = self._worth()
        usual_s = order.placed_s + self.usual_s(order.restaurant_id)
        middle_s = weight * (order.said_s + self.late_s) + (1 - weight) * usual_s
        ready_s, left_s = _beyond(middle_s, spread_s)
        return structs.replace(order, ready_s=ready_s, spread_s=left_s)

    def _worth(self) -> tuple[float, float]:
        """Return the weight of a kitchen's word that errs least, and how widely it still errs."""
        apart_var = self.took_var + self.late_var - 2 * self.both_var
        if apart_var <= 1.0:
            return 1.0, sqrt(self.late_var)
        weight = min(1.0, max(0.0, (self.took_var - self.both_var) / apart_var))
        rest = 1 - weight
        var = weight**2 * self.late_var + rest**2 * self.took_var
        return weight, sqrt(max(0.0, var + 2 * weight * rest * self.both_var))


def _with(
    own: dict[RestaurantId, tuple[float, float]], one: Cooked
) -> dict[RestaurantId, tuple[float, float]]:
    count, mean_s = own.get(one.restaurant_id, (0.0, 0.0))
    share = 1 / (min(count, MEMORY) + 1)
    after = {**own, one.restaurant_id: (count + 1, mean_s + share * (one.took_s - mean_s))}
    if len(after) > OWN_MAX:
        del after[min(after, key=lambda restaurant: (after[restaurant][0], restaurant))]
    return after


def _beyond(middle_s: float, spread_s: float) -> tuple[float, float]:
    """Return mean and spread of what is left after now of a normal distribution."""
    if spread_s < 1.0:
        return max(0.0, middle_s), 0.0
    passed = -middle_s / spread_s
    if passed > FAR:
        return spread_s / passed, spread_s / passed
    left = erfc(passed / sqrt(2)) / 2
    over = exp(-(passed**2) / 2) / sqrt(2 * pi) / left
    share = max(0.0, 1 + passed * over - over**2)
    return middle_s + spread_s * over, spread_s * sqrt(share)
