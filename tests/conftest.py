"""What holds for every test: it is quick, it can be repeated, and it ends.

A test that is not marked `slow` may use half a second of processor time, its own and that of the
processes it waited for. Processor time and not the clock's, because the machines that run the suite
are shared; but a test that sleeps uses none, so there is a far larger limit by the clock as well.
What numba takes to compile a kernel, or to load one from its cache, is not the test's doing and is
not counted.

Tests that need real servers ask for `database` or `redis_url`: one Postgres and one Valkey are
started for the whole run when the first test asks, and each test gets them empty.

After a run stands how long the product's files and functions are: an aim, told and not enforced.

Hypothesis draws the same examples in every run, so that a red suite is red for everybody. The
profile `deep` draws more of them, and `explore` different ones each time: it is for people looking
for trouble (`make slow ARGS=--hypothesis-profile=explore`), and what it finds becomes a named test.
"""

import ast
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import pytest
import redis
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import text
from numba.core import event

from node.servers.announcement import Running, heard
from node.servers.binaries import binaries
from storage.bridge import bridged
from storage.database import Database
from storage.migrate import migrate

ROOT = Path(__file__).parent.parent
CPU_S_MAX = 2.0
"""The aim is half a second; processor time on cores that others share can be four times that."""
WALL_S_MAX = 10.0

settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    max_examples=50,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("deep", settings.get_profile("house"), max_examples=500)
settings.register_profile("explore", settings.get_profile("deep"), derandomize=False)
settings.load_profile("house")


class Spent(NamedTuple):
    """Time, of the processor and by the clock."""

    cpu_s: float
    wall_s: float

    def minus(self, other: Self) -> Self:
        """What is left when the other is taken away."""
        return self._replace(cpu_s=self.cpu_s - other.cpu_s, wall_s=self.wall_s - other.wall_s)


class Compiling(event.Listener):
    """Adds up what numba spends on compiling, from the lock that it holds meanwhile."""

    def __init__(self) -> None:
        self.depth = 0
        self.began = self.spent = Spent(0.0, 0.0)

    def on_start(self, event: object) -> None:  # noqa: ARG002 (numba's signature)
        """The lock was taken, perhaps again."""
        self.began = self.began if self.depth else _so_far()
        self.depth += 1

    def on_end(self, event: object) -> None:  # noqa: ARG002 (numba's signature)
        """The lock was let go, perhaps not for the last time."""
        self.depth -= 1
        if not self.depth:
            self.spent = _so_far().minus(self.began.minus(self.spent))


def _so_far() -> Spent:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = time.process_time() + children.ru_utime + children.ru_stime
    return Spent(cpu_s, time.monotonic())


_compiling = Compiling()
event.register("numba:compiler_lock", _compiling)  # pyright: ignore[reportUnknownMemberType]


@pytest.fixture(scope="session", autouse=True)
def examples() -> None:
    """Draw one first: a fresh checkout takes a second for it, which is no test's doing."""

    @settings(max_examples=1, database=None)
    @given(text())
    def drawn(_example: str) -> None:
        pass

    drawn()


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of this run keep what they hold."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def servers(servers_folder: Path) -> Generator[Running]:
    """Both servers, started once for all tests that ask, in a folder that is new."""
    command = [sys.executable, "-m", "node.servers", str(servers_folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        said = heard(launcher.stdout.readline())
        assert isinstance(said, Running), said
        yield said
        launcher.stdin.close()
        assert launcher.wait(timeout=30) == 0


def _sql(url: str, statement: str) -> None:
    psql = binaries().postgres / "psql"
    subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-c", statement, url], check=True)


def _asked(url: str, statement: str) -> str:
    psql = binaries().postgres / "psql"
    command = [psql, "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", statement, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


_numbers = count(1)


@contextmanager
def _fresh_database(servers: Running, template: str) -> Generator[str]:
    name = f"test_{next(_numbers)}"
    _sql(servers.database_url, f"create database {name} template {template} strategy wal_log")
    try:
        yield urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()
    finally:
        _sql(servers.database_url, f"drop database {name} with (force)")


async def _migrate(url: str) -> None:
    async with bridged() as bridge:
        database = Database(bridge, url)
        await migrate(database)
        await database.close()


@pytest.fixture(scope="session")
def template(servers: Running) -> str:
    """The database that each test's is a copy of."""
    _sql(servers.database_url, "create database template")
    trio.run(_migrate, urlsplit(servers.database_url)._replace(path="/template").geturl())
    return "template"


_EMPTIED = """
do $$
declare
    one text;
begin
    perform pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid();
    set local session_replication_role = replica;
    for one in
        select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and not relispartition and relname <> 'migration'
    loop
        execute format('delete from %I', one);
    end loop;
    for one in select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'S'
    loop
        execute format('alter sequence %I restart', one);
    end loop;
end
$$;
"""
_SHAPE = """
select md5(string_agg(shape, ' ' order by shape)) from (
    select relname || ' ' || attname || ' ' || atttypid from pg_class join pg_attribute
        on attrelid = pg_class.oid where relnamespace = 'public'::regnamespace
    union all
    select number || ' ' || checksum from migration
    union all
    select proname || ' ' || md5(prosrc) from pg_proc where pronamespace = 'public'::regnamespace
) as one (shape)
"""


@pytest.fixture(scope="session")
def cleaned(servers: Running, template: str) -> Generator[Callable[[], str]]:
    """What gives a migrated database with nothing in it: the one before, emptied.

    Making one anew takes a tenth of a second and more the more were made, emptying one a fiftieth.
    Whoever has changed more than rows leaves a database that is not used again.
    """
    shape = _asked(urlsplit(servers.database_url)._replace(path=f"/{template}").geturl(), _SHAPE)
    with ExitStack() as made:
        url = made.enter_context(_fresh_database(servers, template))

        def clean() -> str:
            nonlocal url
            if _asked(url, _EMPTIED + _SHAPE) != shape:
                url = made.enter_context(_fresh_database(servers, template))
            return url

        yield clean


@pytest.fixture
def database(cleaned: Callable[[], str]) -> str:
    """The URL of a migrated database in which nothing is."""
    return cleaned()


@pytest.fixture
def empty_database(servers: Running) -> Generator[str]:
    """The URL of a database that has nothing in it, no schema either."""
    with _fresh_database(servers, "template0") as url:
        yield url


@pytest.fixture
def redis_url(servers: Running) -> str:
    """The URL of a Valkey that holds nothing."""
    client = redis.Redis.from_url(servers.redis_url)  # pyright: ignore[reportUnknownMemberType]
    with client:
        client.flushall()  # pyright: ignore[reportUnknownMemberType]
    return servers.redis_url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that took longer than an unmarked one may."""
    before = _so_far().minus(_compiling.spent)

    yield

    took = _so_far().minus(_compiling.spent).minus(before)
    is_slow = item.get_closest_marker("slow") is not None
    if not is_slow and (took.cpu_s > CPU_S_MAX or took.wall_s > WALL_S_MAX):
        pytest.fail(
            f"took {took.cpu_s:.2f} s of processor and {took.wall_s:.2f} s by the clock; unmarked"
            f" tests may take {CPU_S_MAX} and {WALL_S_MAX}: make it smaller, or mark it slow",
            pytrace=False,
        )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode
) -> None:
    """Tell how long files and functions are, after a good run that was not asked to be quiet."""
    if terminalreporter.verbosity < 0 or exitstatus != pytest.ExitCode.OK:
        return
    texts = [path.read_text() for room in _rooms() for path in room.rglob("*.py")]
    files = [len(text.splitlines()) for text in texts]
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    terminalreporter.write_line(
        f"sizes (medians): {len(files)} files of {statistics.median(files):.0f} lines;"
        f" {len(functions)} functions of {statistics.median(functions):.0f},"
        f" nine in ten within {statistics.quantiles(functions, n=10)[-1]:.0f}"
    )


def _rooms() -> list[Path]:
    return [room.parent for room in ROOT.glob("*/__init__.py")]
