"""`dispatch bench NAME`: what is claimed to be fast, measured here and now."""

import json
from collections.abc import Mapping
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.kernel import kernel as measured_kernel
from benchmarks.positions import positions as measured_positions

app = typer.Typer(no_args_is_help=True, help="Measure what is claimed to be fast.")


@app.command()
def kernel(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Messages a second beside pykka and thespian, bytes an idle actor, the cost of a commit."""
    _show("kernel", measured_kernel(), as_json=as_json)


@app.command()
def positions(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Nearest couriers among moving ones, beside H3 dictionaries and a tree queried singly."""
    _show("positions", measured_positions(), as_json=as_json)


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
