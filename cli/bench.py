"""`dispatch bench NAME`: what is claimed to be fast, measured here and now.

The yardsticks (other actor libraries, other indexes) are packages that only the makers of this one
install, so a benchmark is imported when it is asked for and not before.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from cli.faults import said_plainly
from simulations.replay import DRIVE_PRICE

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


@app.command()
def arrivals(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Unpacked public instances, to foretell their preparation times."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """How far off arrivals are foretold, and how often they come between the times told."""
    from benchmarks.arrivals import arrivals as measured  # noqa: PLC0415 - as above.

    _show("arrivals", measured(folder), as_json=as_json)


@app.command()
def beat(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """How late the event loop is while 10,000 pings a second come and rounds are planned."""
    from benchmarks.beat import beat as measured  # noqa: PLC0415 - as above.

    _show("beat", measured(), as_json=as_json)


@app.command()
def days(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="City folders; without any, the extracts that the makers have."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Evenings on real streets: the default solver beside an assignment of busy couriers too."""
    from benchmarks.days import days as measured  # noqa: PLC0415 - as above.

    _show("days", measured(folders or ()), as_json=as_json)


@app.command()
def mdrp(
    folder: Annotated[Path, typer.Argument(help="The unpacked public instances.")],
    prep_sd: Annotated[
        float, typer.Option(min=0, max=60, help="Minutes by which kitchens err.")
    ] = 0.0,
    drive_price: Annotated[
        float, typer.Option(min=0, max=100, help="Of sending idle couriers to wait.")
    ] = DRIVE_PRICE,
    seed: Annotated[int, typer.Option(help="Where the random numbers start.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes to use.")] = 2,
    log_dir: Annotated[Path | None, typer.Option(help="Write each day's log there.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Recorded days of orders: minutes from click to door, beside the published results."""
    from benchmarks.mdrp import mdrp as measured  # noqa: PLC0415 - as above.

    with said_plainly():
        figures = measured(
            folder,
            prep_sd_min=prep_sd,
            drive_price=drive_price,
            seed=seed,
            jobs=jobs,
            log_dir=log_dir,
        )
    _show("mdrp", figures, as_json=as_json)


@app.command()
def rounds(
    as_json: Annotated[bool, typer.Option("--json")] = False,
    long: Annotated[
        bool, typer.Option("--long", help="Beside searches of 30 s, on more rounds.")
    ] = False,
) -> None:
    """How good a round's plan is after how long, beside optima and other people's solvers."""
    from benchmarks.rounds import LONG, SHORT  # noqa: PLC0415 - as above.
    from benchmarks.rounds import rounds as measured  # noqa: PLC0415 - as above.

    _show("rounds", measured(LONG if long else SHORT), as_json=as_json)


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
