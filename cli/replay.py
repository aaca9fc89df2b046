"""`dispatch replay mdrp DIR`: a real day of orders through the production actors."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cli.faults import checked_policy, refuse, said_plainly
from dispatch.matching.solvers import SOLVERS
from dispatch.policy import DEFAULT_SOLVER
from simulations.mdrp import instances
from simulations.replay import DRIVE_PRICE, Result, mean, replay_all

app = typer.Typer(no_args_is_help=True, help="Dispatch a recorded day again.")

JOBS_MAX = 64


@app.callback()
def replay() -> None:
    """Dispatch a recorded day again."""


@app.command()
def mdrp(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    folder: Annotated[Path, typer.Argument(help="An instance, or a folder of instances.")],
    instances_: Annotated[
        str, typer.Option("--instances", help="Only these, by name, separated by commas.")
    ] = "",
    policy: Annotated[str, typer.Option(help=f"One of {', '.join(SOLVERS)}.")] = DEFAULT_SOLVER,
    seed: Annotated[int, typer.Option(help="Where the random numbers start.")] = 1,
    prep_sd: Annotated[
        float,
        typer.Option(min=0, max=60, help="Minutes by which kitchens err about when food is ready."),
    ] = 0.0,
    drive_price: Annotated[
        float,
        typer.Option(min=0, max=100, help="Of sending idle couriers to wait; 0 sends nobody."),
    ] = DRIVE_PRICE,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="Processes to use.")] = 1,
    log_dir: Annotated[
        Path | None, typer.Option(help="Write each day's log to DIR/INSTANCE.jsonl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Dispatch public instances of the Meal Delivery Routing Problem, order by order."""
    checked_policy(policy)
    if log_dir is not None:
        _make(log_dir)
    with said_plainly():
        folders = _chosen(instances(folder), instances_)
        console = Console(stderr=True)
        with Progress(console=console, disable=as_json or not console.is_terminal) as progress:
            task = progress.add_task("days", total=len(folders))
            results = list[Result]()
            days = replay_all(
                folders,
                policy=policy,
                seed=seed,
                prep_sd_min=prep_sd,
                drive_price=drive_price,
                jobs=jobs,
                log_dir=log_dir,
            )
            for result in days:
                results.append(result)
                progress.advance(task)
    results.sort(key=lambda result: result.instance)
    if as_json:
        typer.echo(
            json.dumps({"instances": [one.figures() for one in results], "mean": mean(results)})
        )
    else:
        Console().print(_table(results))


def _make(log_dir: Path) -> None:
    """Find out before the days, not after them, that their logs cannot be written."""
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        with (log_dir / ".writable").open("w"):
            pass
        (log_dir / ".writable").unlink()
    except OSError as error:
        refuse(f"{log_dir} cannot hold the logs: {error.strerror}")


def _chosen(found: list[Path], names: str) -> list[Path]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if names and not wanted:
        refuse("--instances names none; leave it out for all of them")
    by_name = {path.resolve().name: path for path in found}
    for name in wanted:
        if name not in by_name:
            refuse(f"there is no instance {name!r} here; see the folder for the names")
    return [by_name[name] for name in dict.fromkeys(wanted)] if wanted else found


def _table(results: list[Result]) -> Table:
    columns = mean(results)
    table = Table(title="Click to door, minutes", show_footer=True)
    table.add_column("instance", footer="mean", no_wrap=True)
    for name, value in columns.items():
        table.add_column(name.replace("_", " "), footer=f"{value:.2f}", justify="right")
    for result in results:
        figures = result.figures()
        table.add_row(result.instance, *(f"{figures[name]:.2f}" for name in columns))
    return table
