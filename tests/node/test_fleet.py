"""Node processes on real servers: shared, killed, told to leave, and refused in one sentence."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import msgspec
import pytest
import trio

from dispatch.ids import MarketId, RestaurantId
from dispatch.restaurant import MarkSoldOut, Open
from dispatch.step import Accepted
from geo.point import LatLng, Point
from node.atlas import Settings, a_market
from node.cluster import ClusterClient
from node.config import Config, environment
from node.endings import MENDABLE_CODE, FleetFailed
from node.fleet import Fleet
from node.servers.announcement import Running
from node.serving import Announcement
from node.stores import Stores, stored
from storage import audit, markets
from storage.migrate import migrate

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the tests' own"  # noqa: S105 - it keeps nothing.
SHARDS = 4
pytestmark = pytest.mark.slow


def a_config(database: str, redis_url: str) -> Config:
    return Config(
        database_url=database, redis_url=redis_url, cluster_secret=SECRET, node_name="tested"
    )


@asynccontextmanager
async def marketed(config: Config) -> AsyncGenerator[Stores]:
    """Migrate the database and have some cities in it."""
    async with stored(config) as stores:
        await migrate(stores.database)
        rows: list[markets.MarketRow] = []
        for number in range(SHARDS):
            settings = Settings(centre=LatLng(45.0, 3.0 * number), solver="nearest")
            rows.append(a_market(f"city-{number}", settings, rows))
            await markets.save(stores.database, rows[-1])
        yield stores


async def shared(stores: Stores, nodes: int) -> None:
    """Wait until every shard has an owner and so many nodes own equally many.

    Whoever is up first may have taken more for a moment: what it must do is give it away.
    """
    while True:
        counts = Counter((await audit.fetch_owners(stores.database)).values())
        if sorted(counts.values()) == [SHARDS // nodes] * nodes:
            return
        await trio.sleep(0.05)


async def opened(client: ClusterClient) -> None:
    """Have a restaurant open in every city."""
    for number in range(SHARDS):
        restaurant = RestaurantId(f"rst-{number}")
        opening = Open(restaurant_id=restaurant, point=Point(0, 0))
        market = MarketId(f"city-{number}")
        answer = await client.ask(market, "restaurant", restaurant, opening, 20)
        assert answer == Accepted()


async def test_nodes_share_the_shards_and_take_over_from_one_that_is_killed(
    database: str, redis_url: str
) -> None:
    config = a_config(database, redis_url)
    told: list[str] = []

    with trio.fail_after(60):
        async with marketed(config) as stores, trio.open_nursery() as nursery:
            fleet = Fleet(config, 2, told.append)
            nursery.start_soon(fleet.run)
            await fleet.ready()
            await shared(stores, 2)
            first = fleet.members[0]
            addresses = [one.announcement.address for one in fleet.members if one.announcement]
            client = ClusterClient(nursery, addresses, SECRET.encode(), Random(1))
            await opened(client)
            before = await audit.fetch_heads(stores.database)
            os.kill(first.process.pid, signal.SIGKILL)
            for number in range(SHARDS):
                word = MarkSoldOut(f"soup-{number}")
                market, key = MarketId(f"city-{number}"), f"rst-{number}"
                assert await client.ask(market, "restaurant", key, word, 20) == Accepted()
            after = await audit.fetch_heads(stores.database)
            fleet.leave()
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

    raised = [shard for shard in after if after[shard].epoch > before[shard].epoch]
    assert len(raised) >= 2
    assert any("ended with -9" in sentence for sentence in told)


async def test_a_node_that_is_told_to_leave_hands_everything_over_and_ends_well(
    database: str, redis_url: str
) -> None:
    config = a_config(database, redis_url)

    with trio.fail_after(60):
        async with marketed(config) as stores, trio.open_nursery() as nursery:
            fleet = Fleet(config, 1)
            nursery.start_soon(fleet.run)
            await fleet.ready()
            await shared(stores, 1)
            process = fleet.members[0].process
            fleet.leave()
            code = await process.wait()
            left = await audit.fetch_owners(stores.database)

    assert code == 0
    assert left == {}


def test_a_node_ends_when_its_supervisor_does(database: str, redis_url: str) -> None:
    config = a_config(database, redis_url)

    async def prepare() -> None:
        async with marketed(config):
            pass

    trio.run(prepare)
    command = [sys.executable, "-m", "node"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(config),
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = msgspec.json.decode(process.stdout.readline(), type=Announcement)
        process.stdin.close()
        code = process.wait(timeout=30)

    assert said.node.startswith("tested-")
    assert code == 0


def refused(config: Config) -> tuple[int, str]:
    """Return how a node that cannot run ends, and what it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "node"],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment(config),
        cwd=ROOT,
        timeout=60,
    )
    return ended.returncode, ended.stderr


def test_a_node_without_its_schema_says_so_in_one_sentence(
    servers: Running, redis_url: str
) -> None:
    code, said = refused(a_config(servers.database_url, redis_url))

    assert code == MENDABLE_CODE
    assert "dispatch migrate" in said
    assert len(said.splitlines()) == 1


def test_a_wrong_password_ends_a_node_in_one_sentence_that_does_not_show_it(
    database: str, redis_url: str
) -> None:
    parts = urlsplit(database)
    wrong = parts._replace(netloc=f"{parts.username}:swordfish@{parts.hostname}:{parts.port}")

    code, said = refused(a_config(wrong.geturl(), redis_url))

    assert code == MENDABLE_CODE
    assert "password" in said
    assert "swordfish" not in said
    assert len(said.splitlines()) == 1


async def test_a_fleet_ends_when_an_operator_has_to_mend_something(
    servers: Running, redis_url: str
) -> None:
    fleet = Fleet(a_config(servers.database_url, redis_url), 2)

    with trio.fail_after(60), pytest.raises(FleetFailed, match="mend"):
        await fleet.run()

    assert fleet.starts == 2
