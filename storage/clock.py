"""What time the database says it is: the one clock that all nodes of a cluster share."""

from dispatch.ids import Instant
from storage.database import Database
from storage.queries import queries

_SQL = queries("clock")
ASK_S = 1.0


async def database_time(database: Database) -> Instant:
    """Return the instant at which the database answered; raises DatabaseUnreachable."""
    return Instant(
        await database.call(lambda connection: connection.fetchval(_SQL["now_ms"]), ASK_S)
    )
