"""`dispatch load`: what a node carries, measured by robots who know the public protocol only."""

from typing import Annotated

import msgspec
import trio
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from cli.equipment import fresh
from cli.faults import refuse, told_plainly
from geo.point import LatLng
from node.atlas import Settings
from node.garbage import set_survivors_aside
from simulations.load.api import Api, ApiFailed, dialled
from simulations.load.histogram import Latency
from simulations.load.run import POLICY, SPEED_MPS, Plan, Report, Tell, run
from simulations.load.site import SiteFailed, site

FAILED = 1
CENTRE = LatLng(55.676, 12.568)
MARKET = "load"
MINUTES_MAX = 12.0
"""Tokens hold for a quarter of an hour, and signing in is throttled."""


class Zone(Struct, frozen=True):
    """What is read of a zone."""

    market_id: str
    centre: LatLng


class Zones(Struct, frozen=True, rename={"zones": "data"}):
    """The zones there are."""

    zones: tuple[Zone, ...]


def load(  # noqa: PLR0913, PLR0917 - one for each thing that a load can vary.
    couriers: Annotated[int, typer.Option(min=1, max=20_000, help="Connected couriers.")] = 100,
    customers: Annotated[int, typer.Option(min=1, max=20_000, help="Connected customers.")] = 100,
    rate: Annotated[float, typer.Option(min=0.01, max=1_000, help="Orders a second.")] = 1.0,
    minutes: Annotated[float, typer.Option(min=0.05, max=MINUTES_MAX, help="How long.")] = 1.0,
    restaurants: Annotated[int, typer.Option(min=1, max=500, help="Restaurants.")] = 20,
    pings_per_s: Annotated[
        float, typer.Option("--pings-per-s", min=0.05, max=20, help="Of each courier.")
    ] = 1.0,
    frame_pings: Annotated[int, typer.Option(min=1, max=60, help="Pings of one frame.")] = 5,
    address: Annotated[
        str | None, typer.Option(help="HOST:PORT of a node; without it one is started here.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="An API key of the tenant's administration, with --address.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Who does what.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Have a town of robots order, carry and follow, and tell how long everything took."""
    plan = Plan(
        couriers=couriers,
        customers=customers,
        restaurants=restaurants,
        rate_s=rate,
        seconds=60 * minutes,
        pings_per_s=pings_per_s,
        frame_pings=frame_pings,
        seed=seed,
    )
    tell = _keep_quiet if as_json else _tell
    set_survivors_aside()  # What robots wait for while theirs is collected counts as the node's.
    if (address is None) != (key is None):
        refuse("--address and --key belong together: the load makes people by that key")
    try:
        with told_plainly():
            report = (
                trio.run(_run_here, plan, tell)
                if address is None or key is None
                else trio.run(_run_there, plan, address, key, tell)
            )
    except* (ApiFailed, SiteFailed) as errors:
        refuse(str(errors.exceptions[0]))
    else:
        _show(report, as_json=as_json)


async def _run_here(plan: Plan, tell: Tell) -> Report:
    """Run on servers and a node of our own, which nothing else is on."""
    settings = Settings(centre=CENTRE, speed_mps=SPEED_MPS, policy=POLICY)
    async with fresh() as (config, _), site(config, 1, MARKET, settings, tell) as here:
        return await run(plan, here.key, here.doors(), CENTRE, tell)


async def _run_there(plan: Plan, address: str, key: str, tell: Tell) -> Report:
    """Run against a node that is there, around the centre of its first market."""
    async with dialled([address]) as api:
        centre = await _first_centre(api)
    return await run(plan, key, [address], centre, tell)


async def _first_centre(api: Api) -> LatLng:
    zones = (await api.ask("GET", "/v1/zones")).read(Zones).zones
    if not zones:
        raise ApiFailed("there is no market: add one with `dispatch market add`")
    return zones[0].centre


def _tell(sentence: str) -> None:
    typer.echo(f"load: {sentence}")


def _keep_quiet(_sentence: str) -> None:
    """Leave standard output to the report."""


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(report))
        return
    table = Table("", "times", "p50", "p90", "p99", "max", box=None)
    for name in ("ping_to_frame_ms", "order_ack_ms", "act_ms", "click_to_door_ms", "late_ms"):
        took = getattr(report, name)
        assert isinstance(took, Latency)
        shown = [f"{value:,.1f} ms" for value in (took.p50, took.p90, took.p99, took.max)]
        table.add_row(name.removesuffix("_ms").replace("_", " "), f"{took.count:,}", *shown)
    Console().print(table)
    lag = report.loop_lag_ms
    typer.echo(
        f"{report.pings_per_s:,.0f} pings/s; {report.orders:,} orders, {report.delivered:,}"
        f" delivered; the node: loop lag p50 {lag['p50']} ms, p99 {lag['p99']} ms,"
        f" {report.resident_mib:,.0f} MiB, {report.node_cpu_share:.0%} of a core"
    )
    for name, counts in (("refused", report.refusals), ("error", report.errors)):
        for what, times in sorted(counts.items(), key=lambda item: -item[1]):
            typer.echo(f"{name}: {what}: {times:,}")
