"""`dispatch letters`: what nobody could do anything with, and how to have it tried again.

A letter that is to be replayed is taken up by the node that owns its shard, within a second or so;
what came of it stands in the list afterwards.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import trio
import typer
from rich.console import Console
from rich.table import Table

from cli.equipment import equipped
from cli.faults import refuse, told_plainly
from dispatch.ids import Instant
from dispatch.letter import Letter
from node.config import Config, from_environment
from node.stores import stored
from storage.letters import PostgresLetters

LISTED_MAX = 1_000
REPLAYED_MAX = 1_000

app = typer.Typer(invoke_without_command=True, help="List and replay what could not be done.")


@app.callback()
def letters(
    context: typer.Context,
    kind: Annotated[
        str | None, typer.Option(help="Only letters for this kind, like `order` or `service:mail`.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="How many at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the newest dead letters; `dispatch letters replay ID...` has them tried again."""
    if context.invoked_subcommand is not None:
        return
    with told_plainly():
        found = trio.run(_newest, from_environment(), kind, limit)
    if as_json:
        typer.echo(msgspec.json.encode({"letters": found}))
    elif found:
        Console().print(_table(found))
    else:
        typer.echo("no dead letters")


@app.command()
def replay(
    ids: Annotated[list[int], typer.Argument(help="The numbers of the letters.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Have letters tried again by the nodes that own their shards."""
    if len(ids) > REPLAYED_MAX:
        refuse(f"{len(ids)} letters at once are too many; name {REPLAYED_MAX} at most")
    with told_plainly():
        found = trio.run(_requested, from_environment(), ids)
    unknown = sorted(set(ids) - found)
    if as_json:
        typer.echo(msgspec.json.encode({"requested": sorted(found), "unknown": unknown}))
    else:
        typer.echo(f"{len(found)} to be replayed; see `dispatch letters` for what comes of it")
    if unknown:
        refuse(f"there is no letter {', '.join(map(str, unknown))}")


async def _newest(config: Config, kind: str | None, limit: int) -> Sequence[Letter]:
    async with equipped(config) as settings, stored(settings) as stores:
        return await PostgresLetters(stores.database).newest(kind, limit)


async def _requested(config: Config, ids: Sequence[int]) -> frozenset[int]:
    async with equipped(config) as settings, stored(settings) as stores:
        return await PostgresLetters(stores.database).request(ids)


def _table(found: Sequence[Letter]) -> Table:
    table = Table(box=None)
    for column in ("id", "at", "shard"):
        table.add_column(column, no_wrap=True)
    for column in ("for", "error", "replay"):
        table.add_column(column, overflow="fold")
    for letter in found:
        error = letter.error.strip().rpartition("\n")[2]
        table.add_row(
            f"{letter.id}",
            _when(letter.at),
            f"{letter.shard:x}",
            f"{letter.kind} {letter.key}",
            error,
            _replay_state(letter),
        )
    return table


def _when(at: Instant) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _replay_state(letter: Letter) -> str:
    if letter.replayed_at is not None:
        return letter.replay_outcome or ""
    return "asked for" if letter.replay_requested_at is not None else ""
