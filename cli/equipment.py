"""The servers that a command needs: those that the settings name, or our own under VAR_DIR.

While `dispatch serve` keeps our own servers running, other commands in the same place find them
there. The secret by which our nodes know each other lies beside them, for their owner only.
"""

import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe

import trio
from msgspec import structs

from node.config import MUST_BE, Config, ConfigInvalid, from_environment
from node.embedded import Servers, embedded
from node.servers.announcement import find_running
from node.stores import stored
from storage.migrate import migrate

SECRET_BYTES = 32


@asynccontextmanager
async def equipped(config: Config, *, starts: bool = False) -> AsyncGenerator[Config]:
    """Yield the settings with servers that run and are migrated.

    With `starts` our own servers are started even if they run, which refuses a second start, and
    other servers need the secret of their cluster: what nodes keep there is locked by it.
    """
    if starts and not config.is_embedded and config.cluster_secret is None:
        raise ConfigInvalid(
            "CLUSTER_SECRET is not set: what nodes keep on your servers is locked by it; it must be"
            f" {MUST_BE['CLUSTER_SECRET']}"
        )
    async with reachable(config, starts=starts) as settings:
        await migrated(settings)
        yield settings


async def migrated(config: Config) -> None:
    """Bring the schema of the database to this version."""
    async with stored(config) as stores:
        await migrate(stores.database)


def secret() -> str:
    """Return a secret that nobody else has."""
    return token_urlsafe(SECRET_BYTES)


@asynccontextmanager
async def reachable(config: Config, *, starts: bool = False) -> AsyncGenerator[Config]:
    """Yield the settings with servers that run, whatever schema is there."""
    if not config.is_embedded:
        yield structs.replace(config, cluster_secret=config.cluster_secret or secret())
        return
    folder = Path(config.var_dir)
    if not starts and (running := find_running(folder)):
        yield _reaching(config, running.database_url, running.redis_url, folder)
        return
    async with embedded(folder) as servers, trio.open_nursery() as nursery:
        nursery.start_soon(servers.lost)
        yield _reaching(config, servers.database_url, servers.redis_url, folder)
        nursery.cancel_scope.cancel()


def _reaching(config: Config, database_url: str, redis_url: str, folder: Path) -> Config:
    return structs.replace(
        config,
        database_url=database_url,
        redis_url=redis_url,
        cluster_secret=config.cluster_secret or _kept_secret(folder),
    )


def _kept_secret(folder: Path) -> str:
    """Return the secret that lies in the folder, making it the first time."""
    path = folder / "cluster-secret"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret())
    except FileExistsError:
        pass
    return path.read_text()


@asynccontextmanager
async def fresh() -> AsyncGenerator[tuple[Config, Servers]]:
    """Yield settings with servers that were started for this command and hold nothing."""
    with tempfile.TemporaryDirectory(prefix="dispatch-") as folder:
        async with embedded(Path(folder)) as servers:
            settings = structs.replace(
                from_environment(),
                database_url=servers.database_url,
                redis_url=servers.redis_url,
                cluster_secret=secret(),
                var_dir=folder,
            )
            await migrated(settings)
            yield settings, servers
