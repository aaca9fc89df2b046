"""Work spread evenly: what couriers have earned, and the price that follows for one order more.

Until pay is computed here, a credit stands for it: so much for an order, and so much for a minute
at work, so that neither far orders nor slow kitchens cost a courier his share. Who has less credit
an hour than the mean of those on shift with him is a little cheaper for the next order, who has
more a little dearer, in a market whose policy has such a price. It is bounded, so that a customer
never waits long for it; it knows nothing of speed, lateness or declined offers, so there is nothing
to win by hurrying.
"""

from collections.abc import Mapping

from msgspec import Struct

from dispatch.ids import CourierId, Instant, elapsed_s
from dispatch.policy import Fairness
from dispatch.work import Work, worked_s

FULL_SHARE = 0.3
"""Who is above or below the mean by this share of it has the full price."""
_S_PER_HOUR = 3_600.0
_S_PER_MINUTE = 60.0


class Earned(Struct, frozen=True):
    """What somebody has earned, and in how long a time on shift."""

    credit: float
    shift_s: float


def credit(delivered: int, work_s: float, fairness: Fairness) -> float:
    """Return what so many orders and so much work are worth."""
    return fairness.credit_order * delivered + fairness.credit_minute * work_s / _S_PER_MINUTE


def earned(work: Work, held: int, now: Instant, fairness: Fairness) -> Earned:
    """Return what a courier has earned in his shift, the orders counted in that he holds."""
    whole = credit(work.delivered + held, worked_s(work, now), fairness)
    return Earned(whole, elapsed_s(work.since, now))


def per_hour(earned: Earned) -> float:
    """Return the credit of an hour; 0 of no time at all."""
    return earned.credit / earned.shift_s * _S_PER_HOUR if earned.shift_s > 0 else 0.0


def order_prices_s(
    earned: Mapping[CourierId, Earned], fairness: Fairness
) -> dict[CourierId, float]:
    """Return for each courier what an order more is dearer with him than at the mean."""
    hours_s = sum(one.shift_s for one in earned.values())
    mean = per_hour(Earned(sum(one.credit for one in earned.values()), hours_s))
    if not mean or not fairness.price_s_max:
        return dict.fromkeys(earned, 0.0)
    return {one: _price_s(theirs, mean, fairness) for one, theirs in earned.items()}


def _price_s(earned: Earned, mean: float, fairness: Fairness) -> float:
    prior = mean * fairness.prior_s / _S_PER_HOUR
    settled = Earned(earned.credit + prior, earned.shift_s + fairness.prior_s)
    share = (per_hour(settled) - mean) / mean / FULL_SHARE
    return fairness.price_s_max * max(-1.0, min(1.0, share))
