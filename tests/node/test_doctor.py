"""The doctor names what is in the way and what to do about it, and disturbs nothing."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from msgspec import structs

from dispatch.ids import Instant
from node.config import Config
from node.doctor import (
    Finding,
    Outcome,
    clock,
    database_findings,
    disk,
    examined,
    machine,
    open_files,
    redis_findings,
    servers,
    standbys,
    unreached,
)
from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable
from storage.health import DatabaseHealth, RedisHealth

GIB = 2**30
POSTGRES = DatabaseHealth(
    180_006, is_standby=False, now=Instant(0), is_durable=True, connections_max=200
)
VALKEY = RedisHealth(
    product="Valkey", version=(9, 1), role="master", eviction="noeviction", is_kept=True
)


def outcomes(findings: list[Finding]) -> dict[str, Outcome]:
    """How bad each finding is, by its name."""
    return {finding.name: finding.outcome for finding in findings}


def only(findings: list[Finding], name: str) -> Finding:
    """The one finding of a name."""
    (found,) = (finding for finding in findings if finding.name == name)
    return found


def with_part(url: str, **parts: str) -> str:
    """The URL with another part."""
    return urlsplit(url)._replace(**parts).geturl()


async def execute(url: str, statement: str) -> None:
    """Have a database execute something."""
    async with bridged() as bridge:
        database = Database(bridge, url)
        await database.call(lambda connection: connection.execute(statement))
        await database.close()


async def test_servers_that_will_do_are_found_to(database: str, redis_url: str) -> None:
    found = await servers(Config(database_url=database, redis_url=redis_url))

    assert outcomes(found) == dict.fromkeys(
        (
            "database",
            "durability",
            "connections",
            "clock",
            "schema",
            "redis",
            "redis memory",
            "redis log",
        ),
        Outcome.OK,
    )


def test_a_standby_is_spoken_of_where_several_hosts_are_named() -> None:
    awaited = structs.replace(POSTGRES, awaits_standby=True)

    found = [standbys(1, POSTGRES), standbys(2, POSTGRES), standbys(2, awaited)]

    assert [outcomes(one) for one in found] == [
        {},
        {"standby": Outcome.WARN},
        {"standby": Outcome.OK},
    ]
    assert "may be lost" in only(found[1], "standby").told


async def test_no_finding_shows_a_password(database: str, redis_url: str) -> None:
    found = await servers(Config(database_url=database, redis_url=redis_url))

    secrets = [urlsplit(url).password for url in (database, redis_url)]
    assert [
        one for one in found for secret in secrets if str(secret) in one.told + one.advice
    ] == []


async def test_a_wrong_password_is_named(database: str, redis_url: str) -> None:
    wrong = with_part(database, netloc=database.split("/")[2].replace(":", ":x", 1))

    found = await servers(Config(database_url=wrong, redis_url=redis_url))

    assert only(found, "database").outcome is Outcome.FAIL
    assert "refuses the password" in only(found, "database").told


async def test_a_database_that_is_not_there_is_named(database: str, redis_url: str) -> None:
    wrong = with_part(database, path="/elsewhere")

    found = await servers(Config(database_url=wrong, redis_url=redis_url))

    assert "has no database of that name" in only(found, "database").told


async def test_tls_that_the_server_does_not_speak_is_named(database: str, redis_url: str) -> None:
    wrong = with_part(database, query="sslmode=require")

    found = await servers(Config(database_url=wrong, redis_url=redis_url))

    assert "take sslmode out of DATABASE_URL" in only(found, "database").advice


def test_tls_that_the_server_wants_is_named() -> None:
    refused = DatabaseUnreachable("no pg_hba.conf entry for host, user, database, no encryption")

    found = unreached("database", "DATABASE_URL", refused)

    assert "add ?sslmode=require to DATABASE_URL" in found.advice


async def test_servers_that_do_not_listen_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = Config(
        database_url=f"postgresql://ann@127.0.0.1:{port}/dispatch",
        redis_url=f"redis://127.0.0.1:{port}",
    )

    found = await servers(config)

    assert outcomes(found) == {"database": Outcome.FAIL, "redis": Outcome.FAIL}
    assert "mend the host and port in DATABASE_URL" in only(found, "database").advice
    assert "set REDIS_URL to where it runs" in only(found, "redis").advice


async def test_a_wrong_password_of_redis_is_named(database: str, redis_url: str) -> None:
    wrong = redis_url.replace("redis://:", "redis://:x")

    found = await servers(Config(database_url=database, redis_url=wrong))

    assert "refused the password" in only(found, "redis").told


async def test_a_database_that_was_never_migrated_is_named(
    empty_database: str, redis_url: str
) -> None:
    found = await servers(Config(database_url=empty_database, redis_url=redis_url))

    assert only(found, "schema").outcome is Outcome.WARN
    assert "`dispatch migrate`" in only(found, "schema").advice


async def test_a_schema_of_a_later_version_is_named(database: str, redis_url: str) -> None:
    await execute(database, "insert into migration values (9999, 'post_later', '', now())")

    found = await servers(Config(database_url=database, redis_url=redis_url))

    assert only(found, "schema").outcome is Outcome.FAIL
    assert "9999" in only(found, "schema").told
    assert "run the version that made it" in only(found, "schema").advice


async def test_a_replica_that_is_a_primary_is_remarked_upon(database: str, redis_url: str) -> None:
    config = Config(database_url=database, replica_url=database, redis_url=redis_url)

    found = await servers(config)

    assert only(found, "replica").outcome is Outcome.WARN


async def test_our_own_servers_need_not_run_for_an_examination(tmp_path: Path) -> None:
    found = await servers(Config(var_dir=str(tmp_path)))

    assert outcomes(found) == {"servers": Outcome.OK}
    assert list(await trio.Path(tmp_path).iterdir()) == []


async def test_our_own_servers_are_examined_while_they_run(
    servers_folder: Path, redis_url: str
) -> None:
    config = Config(var_dir=str(servers_folder))

    here, there = await machine(config), await servers(config)

    assert "kept by process" in only(here, "var").told
    assert only(there, "database").outcome is Outcome.OK
    assert urlsplit(redis_url).netloc.rpartition("@")[2] in only(there, "redis").told


async def test_a_machine_that_passes_the_suite_is_fit(tmp_path: Path) -> None:
    found = await machine(Config(var_dir=str(tmp_path / "not made yet")))

    assert outcomes(found).keys() == {
        "python",
        "packages",
        "embedded servers",
        "disk",
        "open files",
        "var",
    }
    assert [finding for finding in found if finding.outcome is Outcome.FAIL] == []


@pytest.mark.slow
async def test_a_whole_examination_finds_the_solver_too(tmp_path: Path) -> None:
    found = await examined(Config(var_dir=str(tmp_path)))

    assert only(list(found), "solver").outcome is Outcome.OK
    assert all(finding.advice for finding in found if finding.outcome is not Outcome.OK)


@pytest.mark.parametrize(
    ("free", "outcome"), [(5 * GIB, Outcome.OK), (GIB, Outcome.WARN), (GIB // 8, Outcome.FAIL)]
)
def test_a_disk_is_judged_by_what_is_free(free: int, outcome: Outcome) -> None:
    assert disk(Path("var"), free).outcome is outcome


@pytest.mark.parametrize(
    ("limit", "outcome"), [(-1, Outcome.OK), (65_536, Outcome.OK), (1_024, Outcome.WARN)]
)
def test_the_limit_of_open_files_is_judged(limit: int, outcome: Outcome) -> None:
    assert open_files(limit).outcome is outcome


@pytest.mark.parametrize(
    ("skew_s", "words"), [(3_600.0, "3600.0 s behind"), (-3_600.0, "3600.0 s ahead of")]
)
def test_a_clock_that_jumped_an_hour_is_remarked_upon(skew_s: float, words: str) -> None:
    found = clock(skew_s)

    assert found.outcome is Outcome.WARN
    assert words in found.told


@pytest.mark.parametrize(
    ("version", "outcome"),
    [(160_004, Outcome.FAIL), (170_002, Outcome.WARN), (180_000, Outcome.OK)],
)
def test_the_version_of_postgres_is_judged(version: int, outcome: Outcome) -> None:
    found = database_findings("here", structs.replace(POSTGRES, version=version))

    assert only(found, "database").outcome is outcome


def test_a_database_that_forgets_commits_is_refused() -> None:
    health = structs.replace(POSTGRES, is_durable=False, connections_max=20)

    found = database_findings("here", health)

    assert outcomes(found) == {
        "database": Outcome.OK,
        "durability": Outcome.FAIL,
        "connections": Outcome.WARN,
    }


@pytest.mark.parametrize(
    ("health", "name", "outcome"),
    [
        (VALKEY, "redis", Outcome.OK),
        (structs.replace(VALKEY, version=(8, 1)), "redis", Outcome.FAIL),
        (structs.replace(VALKEY, role="slave"), "redis", Outcome.FAIL),
        (structs.replace(VALKEY, eviction="allkeys-lru"), "redis memory", Outcome.WARN),
        (structs.replace(VALKEY, is_kept=False), "redis log", Outcome.WARN),
    ],
)
def test_a_redis_is_judged_by_what_it_says(
    health: RedisHealth, name: str, outcome: Outcome
) -> None:
    assert only(redis_findings("here", health), name).outcome is outcome
