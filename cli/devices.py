"""`dispatch devices`: kill the nodes that a person's devices are on, and see what they heard."""

from typing import Annotated

import msgspec
import trio
import typer

from cli.equipment import fresh
from cli.faults import told_plainly
from simulations.chaos.devices import Plan, Report, run

FAILED = 1


def devices(
    kills: Annotated[int, typer.Option(min=1, max=10_000, help="Nodes to kill.")] = 100,
    nodes: Annotated[int, typer.Option(min=2, max=16, help="Node processes.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Where devices go.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Follow a busy feed on two devices of one person while the nodes they are on are killed.

    In the end each must have heard every message of the feed once and in order.
    """
    plan = Plan(nodes=nodes, kills=kills, seed=seed)
    with told_plainly():
        report = trio.run(_run, plan, as_json)
        _show(report, as_json=as_json)
        if not report.is_clean:
            raise typer.Exit(FAILED)


async def _run(plan: Plan, is_quiet: bool) -> Report:
    def tell(sentence: str) -> None:
        if not is_quiet:
            typer.echo(f"devices: {sentence}")

    async with fresh() as (config, _servers):
        return await run(config, plan, tell)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(report))
        return
    heard = f"{report.messages} messages on each of {report.devices} devices"
    faults = f"{report.lost} lost, {report.doubled} doubled, {report.out_of_order} out of order"
    typer.echo(f"{report.kills} nodes killed; {heard}: {faults}")
    if times := report.reconnect_s:
        typer.echo(f"from the kill to the next message: p50 {times.p50} s, max {times.max} s")
