"""How a process ends when an operator, or a supervisor, has to do something: with one sentence.

Errors come out of nurseries in groups within groups; the first of them is the one that is told.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from actors.failures import NodeFailed
from node.config import ConfigInvalid
from node.servers.announcement import ServersFailed
from storage.database import DatabaseRefused, DatabaseUnreachable


class FleetFailed(Exception):
    """A node cannot run; the message is one sentence that says what to do."""


MENDABLE = (
    ConfigInvalid,
    FleetFailed,
    ServersFailed,
    DatabaseRefused,
    DatabaseUnreachable,
    OSError,
)
"""What an operator mends before it makes sense to start again."""
MENDABLE_CODE, FAILED_CODE = 2, 1


@contextmanager
def told_at_the_end(tell: Callable[[str, int], None]) -> Generator[None]:
    """Have `tell` say in one sentence what ended the block, with the code to exit with."""
    said: tuple[str, int] | None = None
    try:
        yield
    except* MENDABLE as group:
        said = (_first(group), MENDABLE_CODE)
    except* NodeFailed as group:
        said = (_first(group), FAILED_CODE)
    if said is not None:
        tell(*said)


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    return str(next(_leaves(group)))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        match error:
            case BaseExceptionGroup():
                yield from _leaves(error)
            case _:
                yield error
