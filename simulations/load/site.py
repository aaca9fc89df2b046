"""A cluster of one's own for a while: servers, nodes, one market, and an operator's key.

What load and demonstrations need that the public protocol rightly does not give: the first tenant
with its first key, and a market on the map. Everything after that goes over the public protocol.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import trio

from dispatch.lease import NodeId
from node.accounts import account_service, bootstrap
from node.atlas import Settings, a_market
from node.config import Config
from node.endings import FleetFailed
from node.fleet import Fleet
from node.stores import stored
from storage import markets

READY_S_MAX = 30.0
LINE_MAX = 500
LOG = "nodes.log"
"""Where the nodes write their log, in the folder of the settings."""


class SiteFailed(Exception):
    """The cluster did not come up; the message says what is missing."""


class Running(NamedTuple):
    """A node that runs: its process, its name, and where it serves clients."""

    pid: int
    node: NodeId
    door: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A cluster that runs."""

    fleet: Fleet
    key: str
    market_id: str
    settings: Settings

    def running(self) -> tuple[Running, ...]:
        """Return the nodes that run, by their numbers."""
        members = [(one.process.pid, one.announcement) for one in self.fleet.members]
        return tuple([Running(pid, at.node, at.door) for pid, at in members if at is not None])

    def doors(self) -> list[str]:
        """Return where the nodes that run serve clients."""
        return [one.door for one in self.running() if one.door]


@asynccontextmanager
async def site(
    config: Config, workers: int, market_id: str, settings: Settings, tell: Callable[[str], None]
) -> AsyncGenerator[Site]:
    """Run so many nodes on servers that are there and migrated, for as long as the block does."""
    key = await _founded(config, market_id, settings)
    log = Path(config.var_dir) / LOG
    fleet = Fleet(config, workers, tell, log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_kept, fleet, log)
        with trio.move_on_after(READY_S_MAX) as waiting:
            await fleet.ready()
        if waiting.cancelled_caught:
            raise SiteFailed(f"no node was ready after {READY_S_MAX:.0f} s; {_last_said(log)}")
        try:
            yield Site(fleet=fleet, key=key, market_id=market_id, settings=settings)
        finally:
            fleet.leave()


async def _kept(fleet: Fleet, log: Path) -> None:
    """Keep the nodes running; raises SiteFailed with what they said when they cannot."""
    try:
        await fleet.run()
    except FleetFailed as error:
        raise SiteFailed(f"no node can run; {_last_said(log)}") from error


def _last_said(log: Path) -> str:
    """Return the last line of the nodes' log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return f"their log ends with: {lines[-1][:LINE_MAX]}" if lines else "they said nothing"


async def _founded(config: Config, market_id: str, settings: Settings) -> str:
    """Have a market and a tenant; return the tenant's key."""
    assert config.cluster_secret is not None
    async with stored(config) as stores:
        others = await markets.fetch_all(stores.database)
        await markets.save(stores.database, a_market(market_id, settings, others))
        service = account_service(
            stores.database,
            stores.redis,
            cluster=config.cluster_name,
            secret=config.cluster_secret,
        )
        await service.opening()
        return (await bootstrap(service, market_id)).api_key
