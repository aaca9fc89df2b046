"""A node as a process of its own, which a test can kill, stop and let go on.

`python -m tests.node.lodger URL NAME TTL_S` keeps shards through the Postgres at URL, by leases of
that length, until its input ends, then leaves in order. It writes a line for each tenancy that
begins or ends: `begins SHARD AT_S`, by a clock that all processes of a machine share.
"""

import sys
import time

import trio

from dispatch.lease import NodeId, NodeRow
from node.keeper import Keeper, Terms
from node.tenancy import Tenancy
from storage.bridge import bridged
from storage.database import Database
from storage.leases import TERMS, PostgresLeases


def now_s() -> float:
    """Return the time by a clock that all processes of a machine share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def host(tenancy: Tenancy) -> None:
    """Be there until asked to stop."""
    _say("begins", tenancy)
    try:
        await tenancy.stopping.wait()
    finally:
        _say("ends", tenancy)


async def live(url: str, name: str, ttl_s: float) -> None:
    """Keep shards until the input ends."""
    async with bridged() as bridge, trio.open_nursery() as nursery:
        database = Database(bridge, url, TERMS)
        me = NodeRow(node=NodeId(name), address="", version="")
        keeper = Keeper(PostgresLeases(database, ttl_s), me, host, Terms(ttl_s=ttl_s), now_s)
        nursery.start_soon(keeper.run)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        await keeper.leave()
        await database.close()


def _say(what: str, tenancy: Tenancy) -> None:
    sys.stdout.write(f"{what} {tenancy.shard} {now_s()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _, URL, NAME, TTL_S = sys.argv
    trio.run(live, URL, NAME, float(TTL_S))
