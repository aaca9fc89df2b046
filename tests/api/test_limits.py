"""Limits: nobody gets more than his share, and Redis being away stops nobody."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from api.endpoint import Call, Endpoints
from api.limits import (
    AWAY_S,
    BUCKETS_MAX,
    SHARE_S,
    LocalLimits,
    Rate,
    SharedLimits,
    neighbourhood,
)
from api.ports import Limits
from api.replies import Reply
from services.accounts.principal import Role
from storage.bridge import bridged
from storage.limits import RedisBuckets
from storage.redis import redis_server
from tests.api.stage import on_stage

RATES: Mapping[str, Rate] = {
    "read": Rate(3, 1.0),
    "write": Rate(3, 0.5),
    "wrong-token": Rate(2, 0.001),
}
AWAY = "redis://127.0.0.1:1"

pots = Endpoints("Pots", "Something to ask for.")


@pots.get("/v1/pots")
async def show_pots(call: Call) -> Reply[str]:
    """Show the pots."""
    return Reply(value=call.principal.subject)


@dataclass
class Watch:
    """A clock that a test moves."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_bucket_is_emptied_at_once_and_filled_at_its_rate() -> None:
    watch = Watch()
    limits = LocalLimits(watch, RATES)

    first = [await limits.take("usr_1", "write") for _ in range(4)]
    watch.now_s += 2
    later = [await limits.take("usr_1", "write") for _ in range(2)]

    assert [one.is_allowed for one in first] == [True, True, True, False]
    assert [one.remaining for one in first] == [2, 1, 0, 0]
    assert (first[-1].retry_s, first[-1].reset_s) == (2.0, 6.0)
    assert [one.is_allowed for one in later] == [True, False]


async def test_the_bucket_that_was_not_used_for_longest_makes_room() -> None:
    limits = LocalLimits(Watch(), RATES)

    before = [await limits.take("usr_1", "write") for _ in range(3)][-1]
    for number in range(BUCKETS_MAX):
        await limits.take(f"ip:{number}", "write")
    after = await limits.take("usr_1", "write")

    assert (before.remaining, after.remaining) == (0, 2)


async def test_what_one_node_gave_another_does_not_give_again(redis_url: str) -> None:
    watch = Watch()

    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        one, two = (
            SharedLimits(RedisBuckets(server, "test", 5.0), watch, {"write": Rate(3, 0.001)})
            for _ in range(2)
        )
        told = [await limits.take("usr_1", "write") for limits in (one, two, one, two)]

    assert [allowance.is_allowed for allowance in told] == [True, True, True, False]
    assert [allowance.remaining for allowance in told] == [2, 1, 0, 0]
    assert 900 < told[-1].retry_s <= 1000


async def test_who_was_refused_is_refused_from_memory_until_a_token_is_due(
    redis_url: str,
) -> None:
    watch = Watch()

    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        limits = SharedLimits(RedisBuckets(server, "test", 5.0), watch, {"write": Rate(1, 0.001)})
        told = [await limits.take("usr_1", "write") for _ in range(5)]
        watch.now_s += 1001
        due = await limits.take("usr_1", "write")

    assert [one.is_allowed for one in told] == [True] + [False] * 4
    assert limits.statistics().remembered == 3
    assert not due.is_allowed  # By the server's clock not a second has passed: it was asked.
    assert limits.statistics().asked == 3


async def test_who_asks_often_is_given_tokens_ahead_but_never_more_than_there_are(
    redis_url: str,
) -> None:
    watch = Watch()

    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        limits = SharedLimits(RedisBuckets(server, "test", 5.0), watch, {"write": Rate(100, 0.001)})
        told = [await limits.take("usr_1", "write") for _ in range(110)]

    assert [one.is_allowed for one in told] == [True] * 100 + [False] * 10
    assert [one.remaining for one in told[:100]] == list(range(99, -1, -1))
    assert limits.statistics().asked == 1 + 20 + 1
    assert limits.statistics().ahead == 79


async def test_tokens_taken_ahead_are_not_good_for_ever(redis_url: str) -> None:
    watch = Watch()

    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        limits = SharedLimits(RedisBuckets(server, "test", 5.0), watch, {"write": Rate(100, 0.001)})
        for _ in range(2):
            await limits.take("usr_1", "write")
        watch.now_s += SHARE_S
        late = await limits.take("usr_1", "write")

    assert limits.statistics().ahead == 0
    assert late.remaining == 100 - 1 - 5 - 1


async def test_while_redis_is_away_each_node_counts_by_itself_and_seldom_asks() -> None:
    watch = Watch()

    async with bridged() as bridge, redis_server(bridge, AWAY) as server:
        limits = SharedLimits(RedisBuckets(server, "test", 5.0), watch, RATES)
        told = [await limits.take("usr_1", "write") for _ in range(4)]
        asked = server.statistics().round_trips
        watch.now_s += AWAY_S
        await limits.take("usr_2", "write")

    assert [one.is_allowed for one in told] == [True, True, True, False]
    assert (asked, server.statistics().round_trips) == (1, 2)
    assert limits.statistics().local == 5


@pytest.mark.parametrize(
    ("peer", "counts_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002::/64"),
        ("2001:db8:1:2:ffff::1", "20010db800010002::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("<local>", "<local>"),
    ],
)
def test_an_address_counts_as_the_net_that_one_subscriber_has(peer: str, counts_as: str) -> None:
    assert neighbourhood(peer) == counts_as


async def test_an_answer_tells_what_is_left_and_a_refusal_when_to_come_again(
    database: str, redis_url: str
) -> None:
    watch = Watch()
    local: Callable[[], Limits] = lambda: LocalLimits(watch, RATES)  # noqa: E731 - a plain value.

    async with on_stage(database, redis_url, [pots], limits=local()) as stage:
        who = stage.signed_in("usr_1", Role.CUSTOMER)
        first = await stage.asked("GET", "/v1/pots", who)
        for _ in range(2):
            await stage.asked("GET", "/v1/pots", who)
        last = await stage.asked("GET", "/v1/pots", who)
        nobody = await stage.asked("GET", "/v1/pots")

    told = [first[2][f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]
    assert (first[0], told) == (200, ["3", "2", "1"])
    assert (last[0], last[1]["code"], last[1]["retryable"]) == (429, "rate-limited", True)
    assert last[2]["Retry-After"] == "1"
    assert nobody[0] == 200


async def test_who_tries_tokens_is_soon_not_even_told_that_they_are_wrong(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [pots], limits=LocalLimits(Watch(), RATES)) as stage:
        guesses = [{"Authorization": f"Bearer guess-{count}"} for count in range(3)]
        told = [(await stage.asked("GET", "/v1/pots", guess))[0] for guess in guesses]

    assert told == [401, 401, 429]
