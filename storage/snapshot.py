"""The schema as one readable file, out of the catalogue of a database that has it.

`storage/schema.sql` is such a snapshot of what all migrations add up to. It is there to be read and
compared: a test makes one database by the migrations and one by the snapshot, and wants no
difference. What a database is really made by are the migrations.
"""

from pathlib import Path

from storage.database import Database
from storage.queries import queries

SQL = queries("snapshot")
SCHEMA = Path(__file__).parent / "schema.sql"
PREAMBLE = "-- Made by `python -m storage.migrate --snapshot URL`; change the migrations instead."


async def snapshot(database: Database) -> str:
    """Return the schema of a database as the statements that would make it."""
    rows = await database.call(lambda there: there.fetch(SQL["fetch_statements"]))
    statements = [f"{text};\n" for (text,) in rows]
    return "\n".join([f"{PREAMBLE}\n", *statements])
