"""What is done to the cluster, and when: seeded, evenly spread, one after the other.

A blow is dealt when the one before has been healed, so that each takeover can be timed by itself;
only a stalled node stays stalled while others are struck.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from random import Random

from msgspec import Struct


class Blow(StrEnum):
    """One thing that happens to the cluster."""

    KILL_NODE = "kill_node"
    STALL = "stall"
    HAND_OVER = "hand_over"
    KILL_REDIS = "kill_redis"
    KILL_POSTGRES = "kill_postgres"
    FAIL_OVER = "fail_over"


class Harm(Struct, frozen=True, kw_only=True):
    """What a run may do."""

    nodes: bool = True
    redis: bool = True
    postgres: bool = True
    stalls: bool = True


NAMED = ("nodes", "redis", "postgres")
WEIGHTS: Mapping[Blow, int] = {
    Blow.KILL_NODE: 12,
    Blow.HAND_OVER: 3,
    Blow.STALL: 2,
    Blow.KILL_REDIS: 2,
    Blow.KILL_POSTGRES: 1,
}
"""Of twenty blows, how many are of each sort. A fail-over is for once, and none of them."""


def blows(harm: Harm, chance: Random) -> Sequence[Blow]:
    """Return twenty blows in an order of chance, of the sorts that are allowed."""
    allowed = {
        Blow.KILL_NODE: harm.nodes,
        Blow.HAND_OVER: harm.nodes,
        Blow.STALL: harm.stalls,
        Blow.KILL_REDIS: harm.redis,
        Blow.KILL_POSTGRES: harm.postgres,
    }
    dealt = [blow for blow, weight in WEIGHTS.items() if allowed[blow] for _ in range(weight)]
    chance.shuffle(dealt)
    return dealt
