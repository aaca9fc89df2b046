"""One node as a process: `python -m node`, by the settings of its environment.

When it can be spoken to it writes one line of JSON, its announcement. It leaves in order when its
input ends, which is how its supervisor stops it and what its supervisor's death looks like, and on
SIGTERM and SIGINT. It ends with 0 after that, with 2 when an operator has to mend something, with 1
when recovering shards did not help; each with one sentence on its standard error.
"""

import os
import signal
import sys

import msgspec
import trio

from node.config import Config, from_environment
from node.endings import told_at_the_end
from node.garbage import set_survivors_aside
from node.serving import serving
from node.stores import reached, stored

READ_BYTES = 4_096
SWITCH_S = 0.0005
"""How long one thread may keep the interpreter: what is asked of the stores crosses to their thread
and back, and would wait five milliseconds each time for the other to let go."""


async def run(config: Config) -> None:
    """Serve until told to leave."""
    async with stored(config) as stores:
        await reached(stores.database, _tell)
        async with serving(config, stores) as node:
            sys.stdout.buffer.write(msgspec.json.encode(node.announcement) + b"\n")
            sys.stdout.flush()
            await _told_to_leave()
            await node.leave()


async def _told_to_leave() -> None:
    """Wait for a signal or the end of the input."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_signalled, nursery)
        nursery.start_soon(_input_ended, nursery)


async def _signalled(nursery: trio.Nursery) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            break
    nursery.cancel_scope.cancel()


async def _input_ended(nursery: trio.Nursery) -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream:
        while await stream.receive_some(READ_BYTES):
            pass
    nursery.cancel_scope.cancel()


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def main() -> int:
    """Run, and return the code to exit with."""
    code = 0

    def tell(sentence: str, ending: int) -> None:
        nonlocal code
        code = ending
        _tell(sentence)

    sys.setswitchinterval(SWITCH_S)
    set_survivors_aside()
    with told_at_the_end(tell):
        trio.run(run, from_environment())
    return code


if __name__ == "__main__":
    raise SystemExit(main())
