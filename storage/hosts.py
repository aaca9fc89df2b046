"""The hosts of a database's URL, and which of them is connected to.

They are asked in turn, from the one that served last, and each has its share of the time: a machine
that is gone does not answer at all, and must not use up what its standby needs.

A host is a primary if it commits, and not because it says so. One that was deposed says so still:
it may be cut off from who deposed it, or was started again by whoever watches it. But its standby
follows another by then, and what it commits waits for its standby for ever. So whoever connects
to a primary sees to it that his commits do wait, whatever the server was told, and has it commit
something that means nothing, and believes it when that returns. With it
all that was committed there before is on the standby as well: what is read then is kept, too. One
that waits for nobody has nothing to prove.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
from asyncpg import Connection

from storage.queries import queries

_SQL = queries("standby")

type Role = Literal["primary", "standby", "any"]
"""What a server must be to be taken, in asyncpg's words."""

_READ_ONLY, _CONNECTION = "25006", "08"
_PASSED_OVER = frozenset({_CONNECTION, "53", "57"})
"""Classes of errors of one host that are no reason not to ask the next: it is away, or full."""


def each_host(url: str) -> Sequence[str]:
    """Return the URL of each host that a URL names."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{user}{at}{host}").geturl() for host in hosts.split(",")]


class Hosts:
    """The hosts of one URL. For the asyncio thread."""

    def __init__(self, url: str, roles: Sequence[Role], settings: Mapping[str, str]) -> None:
        """Take a host of the first role that any of them has."""
        self._urls = deque(each_host(url))
        self._roles = roles
        self._settings = dict(settings)

    async def connect(self, ends_at: float) -> Connection:
        """Connect to a host that will do, by this time of the loop.

        Raises what the last one said, or if none said more, that none has the role.
        """
        began_at = asyncio.get_running_loop().time()
        share_s = (ends_at - began_at) / (len(self._roles) * len(self._urls))
        told: Exception = asyncpg.TargetServerAttributeNotMatched("there is none of that role")
        for role, url in product(self._roles, tuple(self._urls)):
            try:
                found = await _connected(url, role, self._settings, share_s)
            except (OSError, asyncpg.PostgresError) as error:
                if not _is_passed_over(error):
                    raise
                told = error
            except asyncpg.TargetServerAttributeNotMatched:
                pass  # It may well be there.
            else:
                self._urls.rotate(-self._urls.index(url))
                return found
        raise told


def _is_passed_over(error: Exception) -> bool:
    return not isinstance(error, asyncpg.PostgresError) or error.sqlstate[:2] in _PASSED_OVER


async def _connected(
    url: str, role: Role, settings: dict[str, str], timeout_s: float
) -> Connection:
    ends_at = asyncio.get_running_loop().time() + timeout_s
    connection = await asyncpg.connect(
        url,
        timeout=timeout_s,
        max_cached_statement_lifetime=0,
        server_settings=settings,
        target_session_attrs=role,
    )
    if role != "primary":
        return connection
    with ExitStack() as unless_proven:
        unless_proven.callback(connection.terminate)
        await _prove(connection, ends_at)
        unless_proven.pop_all()
    return connection


async def _prove(connection: Connection, ends_at: float) -> None:
    """Have it commit in time; raises TargetServerAttributeNotMatched if it does not."""
    late = asyncio.get_running_loop().call_at(ends_at, connection.terminate)
    try:
        await connection.execute(_SQL["prove_primary"])
    except asyncpg.PostgresError as error:
        if error.sqlstate != _READ_ONLY and not error.sqlstate.startswith(_CONNECTION):
            raise
        raise asyncpg.TargetServerAttributeNotMatched("a primary does not commit") from error
    finally:
        late.cancel()
