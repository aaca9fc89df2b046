"""Health: a node that lives says so, and one that cannot do its work does not say that it can."""

from api.health import health
from storage.bridge import bridged
from storage.database import connected
from storage.redis import redis_server
from tests.api.stage import on_stage

NOWHERE = "127.0.0.1:1"


async def test_a_node_that_serves_is_alive_and_ready(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [health]) as stage:
        alive = await stage.asked("GET", "/v1/health")
        ready = await stage.asked("GET", "/v1/ready")

    assert alive[:2] == (200, {"node": "node-test", "is_alive": True})
    assert ready[:2] == (200, {"node": "node-test", "is_ready": True, "has_redis": True})


async def test_a_node_without_its_shards_is_alive_but_not_ready(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [health], is_ready=lambda: False) as stage:
        alive = await stage.asked("GET", "/v1/health")
        ready = await stage.asked("GET", "/v1/ready")

    assert alive[0] == 200
    assert (ready[0], ready[1]["code"], ready[2]["Retry-After"]) == (503, "unavailable", "1")


async def test_a_node_without_its_database_is_not_ready(database: str, redis_url: str) -> None:
    async with (
        bridged() as bridge,
        connected(bridge, f"postgresql://x@{NOWHERE}/x") as gone,
        on_stage(database, redis_url, [health], database=gone) as stage,
    ):
        ready = await stage.asked("GET", "/v1/ready")

    assert (ready[0], ready[1]["detail"]) == (503, "the database does not answer")


async def test_a_node_without_redis_is_ready_and_says_that_it_has_none(
    database: str, redis_url: str
) -> None:
    async with (
        bridged() as bridge,
        redis_server(bridge, f"redis://{NOWHERE}") as gone,
        on_stage(database, redis_url, [health], redis=gone) as stage,
    ):
        ready = await stage.asked("GET", "/v1/ready")

    assert ready[:2] == (200, {"node": "node-test", "is_ready": True, "has_redis": False})
