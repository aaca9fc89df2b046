"""How a checkout is set up, played through with pretended Pythons in a folder of its own.

A pretended Python answers the three questions that `setup.sh` asks of one (do you fit, make an
environment, install this), writes down what it was asked, and can be told to fail in the words of
the real tools. Nothing is fetched; the real set-up is what every run of the suite starts with.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
BASH = shutil.which("bash") or "/bin/bash"
TOOLS = "cat cmp cp cut dirname flock grep mkdir rm sleep tail tr uname".split()  # noqa: SIM905 (a shopping list)

FITTING = """#!/bin/sh
case "$*" in
    *version_info*) exit 0 ;;
    --version) echo "Python 3.13.99" ;;
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *--editable*) echo checkout >>asked ;;
    *--require-hashes*)
        echo packages >>asked
        [ -z "$COMPLAINT" ] || { echo "$COMPLAINT"; exit 1; } ;;
esac
"""
TOO_OLD = "#!/bin/sh\nexit 1\n"
NOT_SET_UP = "#!/bin/sh\necho 'python3.13: command not found in this shell' >&2\nexit 127\n"


class Ran(NamedTuple):
    """What a run of the set-up said, and how it ended."""

    code: int
    said: str
    complained: str


class Machine(NamedTuple):
    """A folder with a checkout and another with the only commands that exist there."""

    checkout: Path
    commands: Path

    def has(self, name: str, script: str) -> None:
        """Put a command on this machine's PATH."""
        self._write(self.commands / name, script)

    def has_pyenv(self, version: str, script: str) -> None:
        """Put a Python where pyenv keeps that version."""
        self._write(self.commands.parent / f"pyenv/versions/{version}/bin/python", script)

    def set_up(self, **environment: str) -> Ran:
        """Run the set-up as a person would, with nothing else in the environment."""
        there: Mapping[str, str] = {
            "PATH": str(self.commands),
            "PYENV_ROOT": str(self.commands.parent / "pyenv"),
            "HOME": str(self.commands.parent),
            **environment,
        }
        ran = subprocess.run(
            (BASH, "setup.sh"),
            cwd=self.checkout,
            env=there,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def asked(self) -> list[str]:
        """What was asked of the pretended Pythons since the last question."""
        log = self.checkout / "asked"
        asked = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return asked

    def _write(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a checkout, a shell's ordinary tools, and no Python at all."""
    machine = Machine(tmp_path / "checkout", tmp_path / "commands")
    machine.checkout.mkdir()
    machine.commands.mkdir()
    shutil.copy(ROOT / "setup.sh", machine.checkout)
    (machine.checkout / "pyproject.toml").write_text("[project]\n")
    (machine.checkout / "requirements-dev.txt").write_text("trio==0.35.0\n")
    for tool in TOOLS:
        if found := shutil.which(tool):
            (machine.commands / tool).symlink_to(found)
    return machine


def test_without_a_fitting_python_it_says_what_to_install(machine: Machine) -> None:
    machine.has("python3", TOO_OLD)

    ran = machine.set_up()

    assert ran.code == 1
    assert "no Python 3.13 or 3.14 was found: install one" in ran.complained
    assert not (machine.checkout / ".venv").exists()


def test_a_python_that_is_there_but_does_not_run_is_passed_over(machine: Machine) -> None:
    machine.has("python3.13", NOT_SET_UP)
    machine.has_pyenv("3.12.1", TOO_OLD)
    machine.has_pyenv("3.13.0", FITTING)

    ran = machine.set_up()

    assert ran.code == 0, ran
    assert "making .venv with Python 3.13.99" in ran.said
    assert machine.asked() == ["packages", "checkout"]


def test_a_second_set_up_has_nothing_to_do_and_says_nothing(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    machine.set_up()
    machine.asked()

    ran = machine.set_up()

    assert ran == Ran(0, "", "")
    assert machine.asked() == []


def test_a_changed_project_file_installs_the_checkout_again(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    machine.set_up()
    machine.asked()
    (machine.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    machine.set_up()

    assert machine.asked() == ["checkout"]


def test_a_changed_lock_makes_the_environment_anew(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    machine.set_up()
    machine.asked()
    left_over = machine.checkout / ".venv/left-over"
    left_over.touch()
    (machine.checkout / "requirements-dev.txt").write_text("trio==0.36.0\n")

    machine.set_up()

    assert not left_over.exists()
    assert machine.asked() == ["packages", "checkout"]


def test_a_half_made_environment_is_made_anew(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    half = machine.checkout / ".venv/lib/half"
    half.mkdir(parents=True)

    ran = machine.set_up()

    assert ran.code == 0, ran
    assert not half.exists()
    assert machine.asked() == ["packages", "checkout"]


def test_a_checkout_that_moved_makes_its_environment_anew(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    machine.set_up()
    moved = Machine(machine.checkout.rename(machine.checkout.with_name("moved")), machine.commands)
    moved.asked()

    moved.set_up()

    assert moved.asked() == ["packages", "checkout"]


def test_an_interrupted_installation_is_not_taken_for_done(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    machine.set_up(COMPLAINT="Killed")
    machine.asked()

    ran = machine.set_up()

    assert ran.code == 0, ran
    assert machine.asked() == ["packages", "checkout"]


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full: free about 2 GB"),
        (
            "NewConnectionError: Name or service not known (name resolution)",
            "connect to the network",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE LOCK", "clear the cache"),
        ("ERROR: No matching distribution found for numba==0.68.1", "no build for this Python"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "give yourself the right to write"),
        ("Segmentation fault", "setup.log has all it said"),
    ],
)
def test_what_went_wrong_is_one_sentence_that_says_what_to_do(
    machine: Machine, complaint: str, advice: str
) -> None:
    machine.has("python3.13", FITTING)

    ran = machine.set_up(COMPLAINT=complaint)

    assert ran.code == 1
    assert advice in ran.complained
    assert len(ran.complained.splitlines()) == 1
    assert machine.asked() == ["packages"]


def test_where_uv_fails_pip_is_asked(machine: Machine) -> None:
    machine.has("python3.13", FITTING)
    machine.has("uv", "#!/bin/sh\necho 'error sending request'\nexit 2\n")

    ran = machine.set_up()

    assert ran.code == 0, ran
    assert "with pip" in ran.said
    assert machine.asked() == ["packages", "checkout"]
