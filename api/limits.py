"""How much each may ask for: token buckets, shared by all nodes through Redis.

A bucket holds so many tokens and is filled at a steady rate; a request takes one. Redis is asked
for them, and has a moment to answer. While it is away or slow the buckets of this process count:
then everybody may ask for that much at each node, which is better than for nothing.

Asking costs more than many a request does. So who asks often is given a few tokens at a time, good
at this node for a second: nobody gets more than there is, though a few tokens may be lost to him.
And who was refused is refused from memory until a token is due, so that a flood costs Redis
nothing. All that is kept here is bounded: what was not used for longest makes room.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import inf

from msgspec import Struct

from api.ports import Allowance
from storage.limits import Bucket, RedisBuckets
from storage.redis import RedisUnreachable

BUCKETS_MAX = 100_000
SHARES_MAX = 20_000
SHARE_S = 1.0
"""How long tokens that were taken ahead are good."""
SHARES_PER_BUCKET = 20
"""How many shares a full bucket is worth."""
AWAY_S = 1.0
"""How long Redis is not asked after it failed to answer."""
SUBNET_BITS = 64
"""An IPv6 subscriber has at least so large a net to himself: it counts as one address."""


class Rate(Struct, frozen=True):
    """A bucket: how many at once, and how many a second in the long run."""

    burst: int
    per_s: float


RATES: Mapping[str, Rate] = {
    "read": Rate(200, 50.0),
    "write": Rate(60, 10.0),
    "sign-in": Rate(10, 0.2),
    "wrong-token": Rate(60, 1.0),
}


class LimitStatistics(Struct, frozen=True, kw_only=True):
    """How requests were counted so far.

    `asked` by asking Redis, `ahead` by a token taken ahead, `remembered` by a refusal that still
    stood, and `local` by this process alone.
    """

    asked: int
    ahead: int
    remembered: int
    local: int


def neighbourhood(peer: str) -> str:
    """Return whom an address counts as: itself, or its subnet if it is of IPv6."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> SUBNET_BITS:x}::/{SUBNET_BITS}"


class LocalLimits:
    """The buckets of this process; fits `api.ports.Limits`."""

    def __init__(self, clock_s: Callable[[], float], rates: Mapping[str, Rate] = RATES) -> None:
        self._clock_s = clock_s
        self._rates = rates
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    async def take(self, who: str, group: str) -> Allowance:
        """Take one of what `who` has in that group."""
        rate, now_s = self._rates[group], self._clock_s()
        tokens, at_s = self._buckets.pop((who, group), (float(rate.burst), now_s))
        tokens = min(rate.burst, tokens + (now_s - at_s) * rate.per_s)
        is_allowed = tokens >= 1
        tokens -= is_allowed
        self._buckets[who, group] = (tokens, now_s)
        while len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return _allowance(rate, tokens, is_allowed=is_allowed)


@dataclass(slots=True)
class Share:
    """What this node knows of a bucket: tokens taken ahead, what is left there, until when."""

    ahead: int = 0
    left: float = 0.0
    ends_s: float = -inf
    refused_until_s: float = -inf


class SharedLimits:
    """The buckets of all nodes, or of this one while Redis is away; fits `api.ports.Limits`."""

    def __init__(
        self,
        buckets: RedisBuckets,
        clock_s: Callable[[], float],
        rates: Mapping[str, Rate] = RATES,
    ) -> None:
        self._buckets = buckets
        self._clock_s = clock_s
        self._rates = rates
        self._local = LocalLimits(clock_s, rates)
        self._shares: OrderedDict[tuple[str, str], Share] = OrderedDict()
        self._away_until_s = -inf
        self._asked = self._ahead = self._remembered = self._taken_here = 0

    async def take(self, who: str, group: str) -> Allowance:
        """Take one of what `who` has in that group; never fails."""
        rate, share, now_s = self._rates[group], self._share(who, group), self._clock_s()
        if now_s < share.refused_until_s:
            self._remembered += 1
            return _refusal(rate, share.refused_until_s - now_s)
        if share.ahead and now_s < share.ends_s:
            self._ahead += 1
            share.ahead -= 1
            return _allowance(rate, share.left + share.ahead, is_allowed=True)
        if now_s < self._away_until_s:
            return await self._take_here(who, group)
        try:
            return await self._take_there(f"{group}:{who}", rate, share)
        except RedisUnreachable:
            self._away_until_s = self._clock_s() + AWAY_S
            return await self._take_here(who, group)

    def statistics(self) -> LimitStatistics:
        """Return how requests were counted so far."""
        return LimitStatistics(
            asked=self._asked,
            ahead=self._ahead,
            remembered=self._remembered,
            local=self._taken_here,
        )

    def _share(self, who: str, group: str) -> Share:
        share = self._shares.pop((who, group), None) or Share()
        self._shares[who, group] = share
        while len(self._shares) > SHARES_MAX:
            self._shares.popitem(last=False)
        return share

    async def _take_here(self, who: str, group: str) -> Allowance:
        self._taken_here += 1
        return await self._local.take(who, group)

    async def _take_there(self, name: str, rate: Rate, share: Share) -> Allowance:
        is_often = self._clock_s() < share.ends_s
        wanted = max(1, rate.burst // SHARES_PER_BUCKET) if is_often else 1
        taken = await self._buckets.take(Bucket(name, rate.burst, rate.per_s), wanted)
        self._asked += 1
        now_s = self._clock_s()
        share.left = max(0.0, rate.burst - taken.full_s * rate.per_s)
        if not taken.tokens:
            allowance = _allowance(rate, share.left, is_allowed=False)
            share.refused_until_s = now_s + allowance.retry_s
            return allowance
        share.ahead = taken.tokens - 1
        share.ends_s = now_s + SHARE_S
        return _allowance(rate, share.left + share.ahead, is_allowed=True)


def _allowance(rate: Rate, tokens: float, *, is_allowed: bool) -> Allowance:
    return Allowance(
        is_allowed=is_allowed,
        limit=rate.burst,
        remaining=int(tokens),
        reset_s=(rate.burst - tokens) / rate.per_s,
        retry_s=0.0 if is_allowed else (1 - tokens) / rate.per_s,
    )


def _refusal(rate: Rate, retry_s: float) -> Allowance:
    """Return what is told again to who was refused, while no token is due yet."""
    return _allowance(rate, max(0.0, 1 - retry_s * rate.per_s), is_allowed=False)
