"""`dispatch demo` as a person runs it: the lines it prints are typed as they stand, and work."""

import re
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

DELIVERED_S_MAX = 150.0
INVITED_S_MAX = 90.0


class Demo:
    """A demo that runs, and all that it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def hears(self, sentence: str, within_s: float) -> str:
        """Read until it has said that; return all that it has said."""
        assert self.process.stdout is not None
        ends_s = time.monotonic() + within_s
        while not re.search(sentence, self.said):
            assert time.monotonic() < ends_s, self.said
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line
        return self.said


@contextmanager
def demo(*options: str) -> Generator[Demo]:
    command = [sys.executable, "-c", "from cli.main import main; main()", "demo", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Demo(process)
        finally:
            process.terminate()
            process.wait(timeout=60)


def typed(line: str) -> Any:  # noqa: ANN401 - whatever the server answers.
    done = subprocess.run(["/bin/bash", "-c", line], check=True, capture_output=True)
    return msgspec.json.decode(done.stdout)


@pytest.mark.slow
def test_an_order_typed_as_told_is_delivered_though_a_node_is_killed() -> None:
    with demo("--minutes", "10", "--couriers", "15", "--port", "0") as city:
        said = city.hears("end with Ctrl-C", INVITED_S_MAX)
        place, look, hear = re.findall(r"^  (curl .*)$", said, re.MULTILINE)
        (kill,) = re.findall(r"kill -9 \d+", said)

        placed, again = typed(place), typed(place)
        subprocess.run(["/bin/bash", "-c", kill], check=True)
        city.hears("took its market over", 60)
        ends_s = time.monotonic() + DELIVERED_S_MAX
        while (shown := typed(look)["data"][0])["status"] != "completed":
            assert time.monotonic() < ends_s, shown
            time.sleep(1)
        messages = typed(hear)["data"]

        city.process.terminate()
        rest = city.process.communicate(timeout=60)[0]

    assert again["order_id"] == placed["order_id"] == shown["order_id"]
    assert [one["message_id"] for one in messages] == list(range(1, len(messages) + 1))
    assert messages[-1]["event"]["delivery_status"] == "delivered"
    assert "; 0 messages missing, doubled or misplaced" in rest
    assert city.process.returncode == 0
