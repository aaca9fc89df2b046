"""`dispatch simulate --faults`: a cluster under fire, and the command for each seed that fails."""

import msgspec
import typer

from cli.faults import refuse
from simulations.faults.run import Result
from simulations.faults.seeds import BadSeeds, Report, command, read_seeds, run_seeds

FAILED = 1


def run_under_fire(told: str, jobs: int, *, as_json: bool) -> None:
    """Run the seeds, say which failed and how to see it again; ends with code 1 if any did."""
    try:
        seeds = read_seeds(told)
    except BadSeeds as error:
        refuse(str(error))
    report = run_seeds(seeds, jobs, _say)
    typer.echo(msgspec.json.encode(report) if as_json else _summary(report))
    if report.failed:
        raise typer.Exit(FAILED)


def told_of(result: Result) -> str:
    """Return what broke, what came before, and the command that repeats it; empty if all held."""
    broken = result.broken
    if broken is None:
        return ""
    lines = (
        f"seed {result.seed}, {broken.at_s:.3f} s: {broken.invariant}",
        f"  {broken.seen}",
        *(f"    {line}" for line in result.trace),
        f"  again: {command(result.seed)}",
    )
    return "\n".join(lines)


def _say(result: Result) -> None:
    if told := told_of(result):
        typer.echo(told, err=True)


def _summary(report: Report) -> str:
    struck = ", ".join(f"{name} {count}" for name, count in report.faults.items())
    return (
        f"{report.seeds} seeds, {len(report.failed)} failed, {report.steps} steps held\n"
        f"what struck: {struck or 'nothing'}"
    )
