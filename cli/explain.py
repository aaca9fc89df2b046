"""`dispatch explain ORDER`: why this courier, and why then, decision by decision.

It reads the database of a business that runs or has run, or a file that `dispatch simulate
--decisions FILE` wrote. Times are shown in UTC, as a log has them.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import trio
import typer
from rich.console import Console
from rich.table import Table

from cli.equipment import equipped
from cli.faults import refuse, told_plainly
from dispatch.decision import Option, OrderDecided
from dispatch.ids import Instant, OrderId, after
from dispatch.sentences import to_operations
from node.config import from_environment
from node.stores import stored
from storage import decisions

PAGE = 500
SHOWN_MAX = 5_000
_TERMS = ("delay_s", "ageing_s", "work_s", "end_s", "switch_s", "fairness_s")
_lines = msgspec.json.Decoder(OrderDecided)


def explain(
    order: Annotated[str, typer.Argument(help="The order's id.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A file of a simulation's decisions.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say why an order went to its courier, and what else there was at what cost."""
    order_id = OrderId(order)
    if source is not None:
        found = _read(source, order_id)
    else:
        with told_plainly():
            found = trio.run(_fetch, order_id)
    if not found:
        refuse(f"nothing was decided about an order {order!r}: see that its id is right")
    if as_json:
        typer.echo(msgspec.json.encode({"order_id": order_id, "decisions": found}))
        return
    _print(Console(), found)


def _read(source: Path, order_id: OrderId) -> Sequence[OrderDecided]:
    """Return the decisions about an order that stand in a file, one JSON document a line."""
    try:
        with source.open("rb") as lines:
            return [one for one in map(_lines.decode, lines) if one.order_id == order_id]
    except OSError as error:
        refuse(f"{source} cannot be read: {error.strerror}")
    except msgspec.DecodeError as error:
        refuse(f"{source} is no file of decisions ({error}); `dispatch simulate` writes one")


async def _fetch(order_id: OrderId) -> Sequence[OrderDecided]:
    found, number = list[OrderDecided](), 0
    async with equipped(from_environment()) as config, stored(config) as stores:
        while len(found) < SHOWN_MAX:
            page = await decisions.fetch_of_order(stores.database, order_id, number, PAGE)
            if not page:
                break
            found += [one.decided for one in page]
            number = page[-1].number
    return found


def _print(console: Console, found: Iterable[OrderDecided]) -> None:
    for decided in found:
        console.print(f"[bold]{decided.verdict}[/bold]  {to_operations(decided, _clock)}")
        if decided.chosen is not None or decided.others:
            console.print(_table(decided))
        console.print()


def _table(decided: OrderDecided) -> Table:
    """Return the options of a decision, the chosen one first, a column a term."""
    table = Table("courier", "there", "at the door", *_TERMS, "total_s", box=None)
    for column in table.columns[3:]:
        column.justify = "right"
    if decided.chosen is not None:
        table.add_row(*_row(decided, decided.chosen), style="bold")
    for option in decided.others:
        table.add_row(*_row(decided, option))
    blanks = ("",) * (2 + len(_TERMS))
    table.add_row("leave it for later", *blanks, f"{decided.leave_out_s:,.0f}", style="dim")
    return table


def _row(decided: OrderDecided, option: Option) -> Iterable[str]:
    yield option.courier_id
    yield _clock(after(decided.at, option.arrival_s))
    yield _clock(after(decided.at, option.dropped_off_s))
    for term in _TERMS:
        yield f"{getattr(option.terms, term):,.0f}"
    yield f"{option.terms.total_s:,.0f}"


def _clock(instant: Instant) -> str:
    return f"{datetime.fromtimestamp(instant / 1_000, UTC):%H:%M:%S}"
