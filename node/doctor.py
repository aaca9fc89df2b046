"""Looks whether a node could run here, and says what to do about each thing that is in the way.

An examination is a row of findings. A check never raises: what goes wrong is what it finds. Nothing
is changed and nothing is started; of servers of our own only those are asked that run already.
"""

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from re import compile as pattern

import trio
from msgspec import Struct

from node.config import Config, shown
from node.servers.announcement import Running, ServersFailed, find_running
from node.servers.binaries import binaries, postgres_version
from node.servers.folder import FREE_BYTES_MIN, is_held
from node.servers.guise import Guise
from storage.bridge import Bridge, bridged
from storage.database import TERMS, Database, DatabaseRefused, DatabaseUnreachable, Terms
from storage.health import DatabaseHealth, RedisHealth, database_health, redis_health
from storage.hosts import each_host
from storage.migrate import known, missing
from storage.redis import RedisServer, RedisUnreachable, redis_server

PACKAGE = "food-dispatch"
PYTHON_MIN = (3, 13)
POSTGRES_MIN, POSTGRES_WANTED = 17, 18
REDIS_MIN = {"Redis": (7, 4), "Valkey": (9, 0)}
"""The first versions in which a field of a hash can run out, as positions and presence do."""
FREE_BYTES_WANTED = 2 * 2**30
OPEN_FILES_WANTED = 65_536
SKEW_S_WANTED = 2.0
CONNECTIONS_WANTED = 100
IMPORT_S_MAX = 60.0
_REQUIREMENT = pattern(r"([\w.-]+)(?:\[[^]]*\])?>=([\d.]+)")


class Outcome(StrEnum):
    """How bad a finding is: nodes run, they run with a loss, or they do not run."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Struct, frozen=True):
    """What a check found, in words, and what to do about it unless all is well."""

    name: str
    outcome: Outcome
    told: str
    advice: str = ""


type Check = Callable[[Config], Awaitable[list[Finding]]]


def _ok(name: str, told: str) -> Finding:
    return Finding(name, Outcome.OK, told)


def _warn(name: str, told: str, advice: str) -> Finding:
    return Finding(name, Outcome.WARN, told, advice)


def _fail(name: str, told: str, advice: str) -> Finding:
    return Finding(name, Outcome.FAIL, told, advice)


async def examined(config: Config) -> tuple[Finding, ...]:
    """Examine this machine and the servers of these settings, and return all findings."""
    checks: tuple[Check, ...] = (machine, solver, servers)
    found: dict[Check, list[Finding]] = {}

    async def examine(check: Check) -> None:
        found[check] = await check(config)

    async with trio.open_nursery() as nursery:
        for check in checks:
            nursery.start_soon(examine, check)
    return tuple(finding for check in checks for finding in found[check])


async def machine(config: Config) -> list[Finding]:
    """Examine what is installed here, and what the system allows."""
    folder = await trio.Path(config.var_dir).resolve()
    return [
        _python(),
        _packages(),
        _binaries(),
        _disk(Path(folder)),
        open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        _folder(Path(folder)),
    ]


def _python() -> Finding:
    told = f"{sys.implementation.name} {sys.version.split()[0]}"
    if sys.version_info[:2] >= PYTHON_MIN:
        return _ok("python", told)
    return _fail("python", told, "install Python 3.13 and run `make setup`")


def _packages() -> Finding:
    stale = list(_stale_packages())
    if not stale:
        return _ok("packages", f"{PACKAGE} {metadata.version(PACKAGE)} and all that it needs")
    return _fail("packages", "; ".join(stale), "run `make setup`")


def _stale_packages() -> Iterator[str]:
    """Say which packages are missing, or older than this one needs them."""
    try:
        needed = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        yield f"{PACKAGE} itself is not installed"
        return
    for name, least in (found.groups() for text in needed if (found := _REQUIREMENT.match(text))):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if _numbers(version) < _numbers(least):
            yield f"{name} is {version}, which is older than {least}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _binaries() -> Finding:
    try:
        version = postgres_version(binaries(), Guise())
    except ServersFailed as error:
        return _warn("embedded servers", str(error), "bring servers of your own")
    except OSError as error:
        return _warn("embedded servers", f"they cannot be run: {error}", "run `make setup` again")
    return _ok("embedded servers", f"Postgres {version} and Valkey are installed")


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return disk(folder, shutil.disk_usage(there).free)


def disk(folder: Path, free: int) -> Finding:
    """Judge how many bytes are free for a folder."""
    told = f"{free / 2**30:.1f} GB are free for {folder}"
    if free < FREE_BYTES_MIN:
        return _fail("disk", told, "make room: servers of our own do not start on so little")
    if free < FREE_BYTES_WANTED:
        return _warn("disk", told, "make room before it is full, which stops all commits")
    return _ok("disk", told)


def open_files(limit: int) -> Finding:
    """Judge how many files a process may have open; each courier's socket is one."""
    if limit == resource.RLIM_INFINITY or limit >= OPEN_FILES_WANTED:
        return _ok("open files", f"a process may have {limit} open")
    told = f"a process may have {limit} open, and each courier's socket is one"
    return _warn("open files", told, f"`ulimit -n {OPEN_FILES_WANTED}` before `dispatch serve`")


def _folder(folder: Path) -> Finding:
    if not is_held(folder):
        return _ok("var", f"no servers run in {folder}")
    running = find_running(folder)
    if running is None:
        told = f"servers are starting or ending in {folder}"
        return _warn("var", told, "look again in a moment")
    return _ok("var", f"servers run in {folder}, kept by process {running.launcher}")


async def solver(_config: Config) -> list[Finding]:
    """Have the solver imported elsewhere, since it takes seconds and never lets go again."""
    command = [sys.executable, "-c", "import ortools.graph.python.min_cost_flow"]
    with trio.move_on_after(IMPORT_S_MAX):
        done = await trio.run_process(
            command, check=False, capture_stdout=True, stderr=subprocess.STDOUT
        )
        if done.returncode == 0:
            return [_ok("solver", "OR-Tools can be loaded")]
        last = (done.stdout.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        return [_fail("solver", f"OR-Tools cannot be loaded: {last}", "run `make setup` again")]
    told = f"OR-Tools was not loaded within {IMPORT_S_MAX:.0f} s"
    return [_warn("solver", told, "see what else this machine is busy with")]


async def servers(config: Config) -> list[Finding]:
    """Examine the servers that the settings name, or our own if they run."""
    running = find_running(Path(config.var_dir)) if config.is_embedded else None
    urls = _urls(config, running)
    if urls is None:
        return [_ok("servers", f"`dispatch serve` will start its own in {config.var_dir}")]
    database_url, redis_url = urls
    async with bridged() as bridge:
        found = await _database(bridge, database_url)
        if config.replica_url is not None:
            found += await _replica(bridge, config.replica_url)
        return found + await _redis(bridge, redis_url)


def _urls(config: Config, running: Running | None) -> tuple[str, str] | None:
    if config.database_url is not None and config.redis_url is not None:
        return config.database_url, config.redis_url
    return None if running is None else (running.database_url, running.redis_url)


@asynccontextmanager
async def _opened(bridge: Bridge, url: str, *, is_replica: bool) -> AsyncGenerator[Database]:
    terms = Terms(host="prefer-standby") if is_replica else TERMS
    database = Database(bridge, url, terms)
    try:
        yield database
    finally:
        await database.close()


async def _database(bridge: Bridge, url: str) -> list[Finding]:
    async with _opened(bridge, url, is_replica=False) as database:
        try:
            asked_s = time.time()
            health = await database_health(database)
            answered_s = time.time()
        except (DatabaseRefused, DatabaseUnreachable) as error:
            return [unreached("database", "DATABASE_URL", error)]
        skew_s = health.now / 1000 - (asked_s + answered_s) / 2
        found = [*database_findings(shown(url), health), *standbys(len(each_host(url)), health)]
        return [*found, clock(skew_s), await _schema(database)]


async def _replica(bridge: Bridge, url: str) -> list[Finding]:
    async with _opened(bridge, url, is_replica=True) as database:
        try:
            health = await database_health(database)
        except (DatabaseRefused, DatabaseUnreachable) as error:
            return [unreached("replica", "REPLICA_URL", error)]
    if health.is_standby:
        return [_ok("replica", f"a standby answers at {shown(url)}")]
    told = f"{shown(url)} is a primary, so late reads burden the one that commits"
    return [_warn("replica", told, "name a standby in REPLICA_URL, or leave it out")]


async def _redis(bridge: Bridge, url: str) -> list[Finding]:
    async with redis_server(bridge, url) as server:
        return await _redis_of(server, url)


async def _redis_of(server: RedisServer, url: str) -> list[Finding]:
    try:
        health = await redis_health(server)
    except RedisUnreachable as error:
        told, _, advice = str(error).partition(": ")
        return [_fail("redis", told, advice)]
    return redis_findings(shown(url), health)


def unreached(name: str, setting: str, error: Exception) -> Finding:
    """Say what to do about a database that could not be asked."""
    told = str(error)
    if isinstance(error, DatabaseRefused):
        return _fail(name, told, f"do as it says; what was used is {setting}")
    if "rejected SSL" in told:
        return _fail(name, told, f"the server speaks no TLS: take sslmode out of {setting}")
    if "no encryption" in told:
        return _fail(name, told, f"the server wants TLS: add ?sslmode=require to {setting}")
    return _fail(name, told, f"start the server, or mend the host and port in {setting}")


def database_findings(where: str, health: DatabaseHealth) -> list[Finding]:
    """Judge what a database said of itself."""
    return [_version(where, health.version), _durability(health), _connections(health)]


def _version(where: str, version: int) -> Finding:
    major, minor = divmod(version, 10_000)
    told = f"Postgres {major}.{minor} takes writes at {where}"
    if major < POSTGRES_MIN:
        return _fail("database", told, f"use Postgres {POSTGRES_WANTED}")
    if major < POSTGRES_WANTED:
        return _warn("database", told, f"use Postgres {POSTGRES_WANTED}, which is what is tested")
    return _ok("database", told)


def _durability(health: DatabaseHealth) -> Finding:
    if health.is_durable:
        return _ok("durability", "a commit is on the disk before it is acknowledged")
    advice = "set fsync, full_page_writes and synchronous_commit to on in the server"
    return _fail("durability", "the database acknowledges what a crash can lose", advice)


def standbys(hosts: int, health: DatabaseHealth) -> list[Finding]:
    """Judge whether what is acknowledged is on a standby, where one is named."""
    if hosts == 1:
        return []
    if health.awaits_standby:
        return [_ok("standby", "a commit is on a standby before it is acknowledged")]
    told = "several hosts are named, and the one that commits waits for no other: what it"
    advice = (
        "set synchronous_standby_names there, as in docs/how-to/survive-the-loss-of-the-database"
    )
    return [_warn("standby", f"{told} acknowledged last may be lost with it", advice)]


def _connections(health: DatabaseHealth) -> Finding:
    told = f"the database has room for {health.connections_max}"
    if health.connections_max >= CONNECTIONS_WANTED:
        return _ok("connections", told)
    advice = f"raise max_connections to {CONNECTIONS_WANTED}: each shard and each node has its own"
    return _warn("connections", told, advice)


def clock(skew_s: float) -> Finding:
    """Judge how far this machine's clock is ahead (-) of the database's, or behind it (+)."""
    told = f"this machine's is {abs(skew_s):.1f} s {'behind' if skew_s > 0 else 'ahead of'}"
    if abs(skew_s) <= SKEW_S_WANTED:
        return _ok("clock", "this machine and the database agree")
    advice = "let both follow a time server; nodes go by the database's clock, logs do not"
    return _warn("clock", f"{told} the database's", advice)


async def _schema(database: Database) -> Finding:
    try:
        lacking = await missing(database)
    except DatabaseRefused as error:
        told, _, advice = str(error).rpartition(": ")
        return _fail("schema", told, advice)
    except DatabaseUnreachable as error:
        return unreached("schema", "DATABASE_URL", error)
    if not lacking:
        return _ok("schema", f"all {len(known())} migrations are applied")
    told = f"{len(lacking)} of {len(known())} migrations are missing"
    return _warn("schema", told, "`dispatch migrate` now, or `dispatch serve`, which does it first")


def redis_findings(where: str, health: RedisHealth) -> list[Finding]:
    """Judge what a Redis or Valkey said of itself."""
    return [_redis_version(where, health), _eviction(health), _redis_log(health)]


def _redis_version(where: str, health: RedisHealth) -> Finding:
    major, minor = health.version
    told = f"{health.product} {major}.{minor} answers at {where}"
    if health.version < REDIS_MIN[health.product]:
        return _fail("redis", told, "use Valkey 9, or Redis 7.4 or later")
    if health.role != "master":
        return _fail("redis", f"{told}, and is a replica", "name the primary in REDIS_URL")
    return _ok("redis", told)


def _eviction(health: RedisHealth) -> Finding:
    told = f"when its memory is full it follows {health.eviction}"
    if health.eviction == "noeviction":
        return _ok("redis memory", told)
    advice = "set maxmemory-policy to noeviction: letters that are thrown away are sent again, late"
    return _warn("redis memory", told, advice)


def _redis_log(health: RedisHealth) -> Finding:
    if health.is_kept:
        return _ok("redis log", "it logs its writes")
    advice = "set appendonly to yes: without it a restart forgets positions and presence"
    return _warn("redis log", "it forgets everything when it restarts", advice)
