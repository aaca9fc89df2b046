"""`dispatch chaos`: kill nodes and servers under load, then see whether anything was lost."""

from typing import Annotated

import msgspec
import trio
import typer
from rich.console import Console
from rich.table import Table

from cli.equipment import fresh
from cli.faults import refuse, told_plainly
from simulations.chaos.blows import NAMED, Harm
from simulations.chaos.pair import paired
from simulations.chaos.run import Plan, Report, Times, run

FAILED = 1


def chaos(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters.
    nodes: Annotated[int, typer.Option(min=2, max=16, help="Node processes.")] = 3,
    rate: Annotated[float, typer.Option(min=0.1, max=1_000, help="Orders a second.")] = 50.0,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="How long.")] = 2.0,
    kill: Annotated[str, typer.Option(help=f"Of {', '.join(NAMED)}.")] = "nodes,redis,postgres",
    stall: Annotated[bool, typer.Option("--stall", help="Stop nodes for 10 s too.")] = False,
    standby: Annotated[
        bool, typer.Option("--standby", help="Lose the database's primary, and go to its standby.")
    ] = False,
    every_s: Annotated[float, typer.Option("--every", min=0.5, help="Seconds a blow.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="The order of the blows.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Strike a cluster under load and hold what its clients were told against its database."""
    plan = Plan(
        nodes=nodes,
        rate_s=rate,
        seconds=60 * minutes,
        blow_s=every_s,
        harm=_harm(kill, stalls=stall),
        seed=seed,
    )
    with told_plainly():
        report = trio.run(_run, plan, standby, as_json)
        _show(report, as_json=as_json)
        is_clean = not (
            report.lost or report.doubled or report.two_couriers or report.invariants_broken
        )
        if not is_clean:
            raise typer.Exit(FAILED)


def _harm(kill: str, *, stalls: bool) -> Harm:
    named = {name.strip() for name in kill.split(",") if name.strip()}
    if unknown := named - set(NAMED):
        refuse(f"--kill knows {', '.join(NAMED)}, not {', '.join(sorted(unknown))[:64]}")
    if not named and not stalls:
        refuse("nothing would be struck: name something to --kill, or --stall")
    return Harm(
        nodes="nodes" in named, redis="redis" in named, postgres="postgres" in named, stalls=stalls
    )


async def _run(plan: Plan, has_standby: bool, is_quiet: bool) -> Report:
    tell = _keep_quiet if is_quiet else _tell
    async with fresh() as (config, servers):
        if not has_standby:
            return await run(config, servers, plan, tell)
        async with paired(config, servers) as (both, pair):
            return await run(both, servers, plan, tell, pair)


def _tell(sentence: str) -> None:
    typer.echo(f"chaos: {sentence}")


def _keep_quiet(_sentence: str) -> None:
    """Leave standard output to the report."""


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(report))
        return
    table = Table(box=None, show_header=False)
    for name in ("orders", "acknowledged", "heard", "lost", "doubled", "two_couriers"):
        table.add_row(name.replace("_", " "), f"{getattr(report, name):,}")
    for name in ("takeover_s", "stalled_takeover_s", "handover_s", "outage_s", "failover_s"):
        times = getattr(report, name)
        if isinstance(times, Times):
            told = f"p50 {times.p50:.2f} s, max {times.max:.2f} s, {times.count} times"
            table.add_row(name.removesuffix("_s").replace("_", " "), told)
    if report.deposed_tries:
        table.add_row("deposed", f"asked to commit {report.deposed_tries} times")
    table.add_row("blows", ", ".join(f"{blow} {count}" for blow, count in report.kills.items()))
    table.add_row("ask", f"p50 {report.ask_ms['p50']} ms, p99 {report.ask_ms['p99']} ms")
    Console().print(table)
    for trouble in (*report.invariants_broken, *report.examples):
        typer.echo(f"broken: {trouble[:300]}", err=True)
