"""What is told a primary and its standby by whoever operates them.

A commit is acknowledged only when it is on both (`synchronous_standby_names`), and when the primary
is gone the standby is promoted. In production tools for that do it, which also decide when; chaos
runs do it here. What else nodes need of two servers is in `storage/hosts.py`.
"""

import trio

from storage.database import Database, DatabaseUnreachable, Terms
from storage.queries import queries

ANY_HOST = Terms(host="prefer-standby", pool_max=1)
"""For a `Database` of one host, which is asked whatever it is."""
LOOK_S = 0.02

_SQL = queries("standby")


async def wait_for_standby(primary: Database) -> None:
    """Have the primary acknowledge nothing that is not on its standby, and return once it does.

    It takes a standby that calls itself `dispatch_standby`.
    """
    await primary.call(lambda there: there.execute(_SQL["wait_for_standby"]))
    await primary.call(lambda there: there.execute(_SQL["read_settings_again"]))
    while not await _told(primary, "count_waited_for"):  # noqa: ASYNC110 - it tells nobody.
        await trio.sleep(LOOK_S)


async def promote(standby: Database) -> None:
    """Have the standby take the primary's place, and return once it has."""
    await _told(standby, "promote")
    while await is_standby(standby):  # noqa: ASYNC110 - as above.
        await trio.sleep(LOOK_S)


async def is_standby(server: Database) -> bool:
    """Tell whether a server follows another, or takes itself for a primary."""
    return bool(await _told(server, "is_standby"))


async def commits(server: Database, within_s: float) -> bool:
    """Tell whether a server commits in time."""
    try:
        await server.call(lambda there: there.execute(_SQL["prove_primary"]), within_s)
    except DatabaseUnreachable:
        return False
    return True


async def _told(server: Database, query: str) -> object:
    return await server.call(lambda there: there.fetchval(_SQL[query]))
