"""Two databases of which one may be lost: a primary, and the standby that it waits for.

Chaos plays the part of the tools that watch over databases in production: it sees the primary die,
and promotes the standby. What became of the primary is told to nobody. Whoever keeps it starts it
again, and it takes itself for the primary still; so from then on it is asked again and again to
commit, which it must not.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trio
from msgspec import structs

from node.config import Config
from node.embedded import Servers, embedded
from storage import standby
from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable, connected

COMMIT_S_MAX = 1.0
"""Time in which a server commits, or does not."""
TRIES_MAX = 40
"""How often the deposed primary is asked: each time it is left with one more who waits."""


@dataclass(slots=True)
class Pair:
    """A primary and its standby. `present` is whichever is the primary now."""

    present: Servers
    _deposed: Database
    _standby: Database
    _heir: Servers
    deposed_tries: int = 0
    deposed_commits: int = 0

    async def promote(self) -> None:
        """Have the standby take the primary's place."""
        await standby.promote(self._standby)
        self.present = self._heir

    async def tempt(self) -> None:
        """Ask the deposed primary to commit, whenever it is there and takes itself for one."""
        while self.deposed_tries < TRIES_MAX:
            with suppress(DatabaseUnreachable):
                if not await standby.is_standby(self._deposed):
                    self.deposed_tries += 1
                    self.deposed_commits += await standby.commits(self._deposed, COMMIT_S_MAX)
            await trio.sleep(COMMIT_S_MAX)


@asynccontextmanager
async def paired(config: Config, servers: Servers) -> AsyncGenerator[tuple[Config, Pair]]:
    """Give the Postgres of these servers a standby; yields settings that name both."""
    folder = Path(config.var_dir)
    async with (
        embedded(folder / "standby", standby_of=folder) as heir,
        bridged() as bridge,
        connected(bridge, servers.database_url, standby.ANY_HOST) as primary,
        connected(bridge, heir.database_url, standby.ANY_HOST) as follower,
    ):
        await standby.wait_for_standby(primary)
        both = structs.replace(config, database_url=_both(servers, heir))
        yield both, Pair(servers, primary, follower, heir)


def _both(primary: Servers, heir: Servers) -> str:
    """Return the URL that names the primary and then its standby, whose passwords are the same."""
    second = urlsplit(heir.database_url).netloc.rpartition("@")[2]
    parts = urlsplit(primary.database_url)
    return parts._replace(netloc=f"{parts.netloc},{second}").geturl()
