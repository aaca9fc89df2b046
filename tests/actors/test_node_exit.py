"""The last step of supervision: a node that recovering cannot help ends with an error code."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import trio
from actors.failures import ShardFailed
from actors.limits import Intensity
from actors.supervision import keep_running
from dispatch.ids import Instant


class Broken:
    async def run(self):
        await trio.lowlevel.checkpoint()
        raise ShardFailed("its journal cannot be read")


intensity = Intensity(failures_max=3, within_s=60)
trio.run(keep_running, [Broken()], lambda: Instant(0), intensity)
"""


def test_a_node_whose_shards_keep_failing_exits_with_an_error_that_says_why() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert ended.returncode != 0
    assert "NodeFailed: more than 3 shards failed in 60 s" in ended.stderr
    assert "its journal cannot be read" in ended.stderr
