"""`dispatch simulate`: a day of a generated city, one policy or several on the same day."""

import contextlib
import signal
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, BinaryIO, NoReturn

import msgspec
import typer
from rich.console import Console

from cli.faults import checked_policy, refuse, said_plainly
from cli.seeds import run_under_fire
from dispatch.decision import OrderDecided
from dispatch.matching.solvers import SOLVERS
from dispatch.policy import DEFAULT_SOLVER
from simulations.day import Day
from simulations.figures import summary
from simulations.live import LiveView
from simulations.report import render
from simulations.simulate import Decided
from simulations.simulate import simulate as simulated
from simulations.spec import CITIES, Spec, find_spec, with_options
from simulations.terminal import show


def simulate(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters.
    city: Annotated[
        str, typer.Option(help=f"One of {', '.join(CITIES)}, a .toml file or a city folder.")
    ] = "evening",
    couriers: Annotated[int | None, typer.Option(help="Couriers, instead of the city's.")] = None,
    orders: Annotated[int | None, typer.Option(help="Orders, instead of the city's.")] = None,
    hours: Annotated[float | None, typer.Option(help="Opening hours to simulate.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed is the same day.")] = 1,
    policy: Annotated[str, typer.Option(help=f"One of {', '.join(SOLVERS)}.")] = DEFAULT_SOLVER,
    compare: Annotated[
        str, typer.Option(help="Several policies on the same day, separated by commas.")
    ] = "",
    html: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Write why each order went where to this file.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Watch the day while it happens.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="Let nodes and wires fail, and see what holds.")
    ] = False,
    seeds: Annotated[str, typer.Option(help="With --faults: one seed, or a span.")] = "1-200",
    jobs: Annotated[int, typer.Option(min=1, max=64, help="With --faults: processes.")] = 1,
) -> None:
    """Simulate a day of a generated city, or with --faults a cluster under fire."""
    if faults:
        run_under_fire(seeds, jobs, as_json=as_json)
        return
    with said_plainly():
        spec = with_options(find_spec(city), couriers=couriers, orders=orders, hours=hours)
    policies = _policies(compare) if compare else [checked_policy(policy)]
    for path in (html, decisions):
        if path is not None:
            _check_writable(path)
    if decisions is not None and len(policies) > 1:
        refuse("--decisions tells of one day: leave --compare out")
    with _written(decisions) as decided:
        days = _days(spec, policies, seed, is_live=live and not as_json, decided=decided)
    if html is not None:
        html.write_text(render(days), "utf-8")
    if as_json:
        figures = [summary(day) for day in days]
        said = figures[0] if not compare else {"days": figures}
        typer.echo(msgspec.json.encode(said))
        return
    console = Console()
    show(console, days)
    if html is not None:
        console.print(f"The report is in {html}", soft_wrap=True, highlight=False)


def _policies(names: str) -> list[str]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        refuse(f"--compare names no policy; name some of {', '.join(SOLVERS)}")
    return [checked_policy(name) for name in dict.fromkeys(wanted)]


@contextlib.contextmanager
def _written(path: Path | None) -> Generator[Decided | None]:
    """Yield what writes decisions to a file, one JSON document a line, if there is to be one."""
    if path is None:
        yield None
        return
    with path.open("wb") as lines:
        yield lambda decided: _write(lines, decided)


def _write(lines: BinaryIO, decided: OrderDecided) -> None:
    lines.write(msgspec.json.encode(decided) + b"\n")


def _check_writable(path: Path) -> None:
    """Find out before the day, not after it, that its report cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        refuse(f"{path} cannot be written: {error.strerror}")


def _days(
    spec: Spec, policies: Sequence[str], seed: int, *, is_live: bool, decided: Decided | None
) -> list[Day]:
    if not is_live:
        return [simulated(spec, seed=seed, solver=one, decided=decided) for one in policies]
    with _interruptible(), LiveView(Console()) as view:
        return [
            simulated(
                spec,
                seed=seed,
                solver=policy,
                watch=view.update,
                is_watched=view.is_due,
                decided=decided,
            )
            for policy in policies
        ]


@contextlib.contextmanager
def _interruptible() -> Generator[None]:
    """Have a termination end the block as Ctrl-C does, so that the screen is given back."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
