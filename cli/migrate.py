"""`dispatch migrate`: bring the database's schema to this version, or say what that would take.

Without DATABASE_URL the servers under VAR_DIR are started for it. With `--check` nothing is
changed, and the exit code is 1 when something is missing.
"""

from typing import Annotated

import msgspec
import trio
import typer

from cli.equipment import reachable
from cli.faults import told_plainly
from node.config import Config, from_environment
from node.stores import stored
from storage.migrate import Migration, migrate, missing

FAILED = 1


def migrate_command(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; say what lacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Bring the database's schema to this version."""
    with told_plainly():
        steps = trio.run(_migrated, from_environment(), check)
        _tell(steps, is_check=check, as_json=as_json)
        if check and steps:
            raise typer.Exit(FAILED)


async def _migrated(config: Config, is_check: bool) -> tuple[Migration, ...]:
    async with reachable(config) as settings, stored(settings) as stores:
        return await (missing if is_check else migrate)(stores.database)


def _tell(steps: tuple[Migration, ...], *, is_check: bool, as_json: bool) -> None:
    outcome = "missing" if is_check else "applied"
    names = [f"{step.number:04} {step.name}" for step in steps]
    if as_json:
        typer.echo(msgspec.json.encode({outcome: names}))
    else:
        typer.echo("\n".join(f"{outcome} {name}" for name in names) or "the schema is up to date")
