"""Whoever computes for a node ends with it."""

import subprocess
import sys

BUSY = """
import sys, time
from node.lifeline import end_with
end_with(sys.stdin.fileno())
print("busy", flush=True)
while True:
    time.perf_counter()
"""


def test_a_process_that_is_busy_ends_when_nobody_holds_its_input_any_more() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        was_running = process.poll() is None
        process.stdin.close()

        code = process.wait(timeout=5)

    assert (was_running, code) == (True, 0)
