"""Whether this node lives, and whether it serves: for balancers, launchers and whoever wonders.

Alive means that the process answers. Ready means that it can do its work: the database answers and
the node has its part of the cluster. Redis is told of and not insisted on, because everything goes
on without it.
"""

from collections.abc import Awaitable, Callable

import trio
from msgspec import Struct

from api.endpoint import Call, Endpoints
from api.replies import Declined, Reply
from dispatch.lease import NodeId
from dispatch.step import Code
from storage.database import DatabaseRefused, DatabaseUnreachable
from storage.health import database_health
from storage.redis import RedisUnreachable

CHECK_S = 1.0
"""Time that a store has to answer; one that is later counts as away."""
RETRY_S = 1.0

health = Endpoints("Health", "Whether the node lives, and whether it serves.")


class Alive(Struct, frozen=True, kw_only=True):
    """The process answers."""

    node: NodeId
    is_alive: bool


class Ready(Struct, frozen=True, kw_only=True):
    """The node serves; without Redis, too, but then some things are slower."""

    node: NodeId
    is_ready: bool
    has_redis: bool


@health.get("/v1/health")
async def show_health(call: Call) -> Reply[Alive]:
    """Tell that the node lives.

    It asks no store: where nothing is heard here, the process should be started anew.
    """
    return Reply(value=Alive(node=call.edge.node, is_alive=True))


@health.get("/v1/ready", codes=(Code.UNAVAILABLE,))
async def show_readiness(call: Call) -> Reply[Ready]:
    """Tell whether the node serves.

    It is 503 until the database answers and the node has its shards: send nobody here before.
    """
    edge = call.edge
    if not edge.is_ready():
        raise Declined(Code.UNAVAILABLE, "the node has not got its shards yet", retry_s=RETRY_S)
    if not await _answers(lambda: database_health(edge.database)):
        raise Declined(Code.UNAVAILABLE, "the database does not answer", retry_s=RETRY_S)
    has_redis = await _answers(lambda: edge.redis.exchange([("PING",)], CHECK_S))
    return Reply(value=Ready(node=edge.node, is_ready=True, has_redis=has_redis))


async def _answers(ask: Callable[[], Awaitable[object]]) -> bool:
    """Tell whether a store answers in time."""
    try:
        with trio.fail_after(CHECK_S):
            await ask()
    except (DatabaseUnreachable, DatabaseRefused, RedisUnreachable, trio.TooSlowError):
        return False
    return True
