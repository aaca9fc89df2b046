"""`dispatch bench NAME`: what is claimed to be fast, measured here and now.

The yardsticks (other actor libraries, other indexes) are packages that only the makers of this one
install, so a benchmark is imported when it is asked for and not before.
"""

import json
from collections.abc import Mapping
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Measure what is claimed to be fast.")


@app.command()
def kernel(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Messages a second beside pykka and thespian, bytes an idle actor, the cost of a commit."""
    from benchmarks.kernel import kernel as measured  # noqa: PLC0415 - needs the makers' packages.

    _show("kernel", measured(), as_json=as_json)


@app.command()
def positions(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Nearest couriers among moving ones, beside H3 dictionaries and a tree queried singly."""
    from benchmarks.positions import positions as measured  # noqa: PLC0415 - as above.

    _show("positions", measured(), as_json=as_json)


@app.command()
def durable(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Durable transitions a second, time to the acknowledgement, recovery, and what they cost."""
    from benchmarks.durable import durable as measured  # noqa: PLC0415 - as above.

    _show("durable", measured(), as_json=as_json)


@app.command()
def sockets(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Processor time a WebSocket message and memory a socket, beside four other servers."""
    from benchmarks.sockets import sockets as measured  # noqa: PLC0415 - as above.

    _show("sockets", measured(), as_json=as_json)


def _show(name: str, measured: object, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(measured))
        return
    table = Table(title=name, show_header=False)
    for key, value in _flat("", measured):
        table.add_row(key, value)
    Console().print(table)


def _flat(prefix: str, measured: object) -> list[tuple[str, str]]:
    if not isinstance(measured, Mapping):
        return [(prefix, f"{measured:,.4g}" if isinstance(measured, float) else str(measured))]
    figures = cast("Mapping[str, object]", measured)
    return [
        row for key, value in figures.items() for row in _flat(f"{prefix} {key}".strip(), value)
    ]
