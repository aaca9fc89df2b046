"""`dispatch market`: which cities the cluster runs. Nodes take a new one up by themselves."""

from pathlib import Path
from typing import Annotated

import msgspec
import trio
import typer
from rich.console import Console
from rich.table import Table

from cli.equipment import equipped
from cli.faults import checked_policy, refuse, told_plainly
from dispatch.policy import DEFAULT_SOLVER
from geo.point import LatLng
from geo.travel import Lookup
from node.atlas import MarketInvalid, Settings, Streets, a_market, ways_of
from node.config import from_environment
from node.stores import stored
from storage import markets
from storage.markets import MarketRow
from streets.folder import load_city
from streets.travel import opened

app = typer.Typer(no_args_is_help=True, help="Add and list the cities that the cluster runs.")
_settings = msgspec.msgpack.Decoder(Settings)


@app.command()
def add(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters.
    name: Annotated[str, typer.Argument(help="Small letters, digits and hyphens.")],
    lat: Annotated[float, typer.Argument(help="Latitude of the city's centre, degrees.")],
    lng: Annotated[float, typer.Argument(help="Longitude of the city's centre, degrees.")],
    speed_kmh: Annotated[float, typer.Option(min=1, max=200, help="Of couriers.")] = 16.2,
    detour: Annotated[float, typer.Option(min=1, max=4, help="Way over crow's way.")] = 1.4,
    policy: Annotated[str, typer.Option(help="How rounds are solved.")] = DEFAULT_SOLVER,
    streets: Annotated[
        Path | None, typer.Option(help="A city folder on every node: ride its streets.")
    ] = None,
    vehicle: Annotated[str, typer.Option(help="How couriers ride them.")] = "bicycle",
    lookup: Annotated[Lookup, typer.Option(help="How their times are found.")] = Lookup.TABLE,
    timezone: Annotated[
        str, typer.Option(help="Such as Europe/Malta; else that of the city folder, or UTC.")
    ] = "",
) -> None:
    """Add a city, or change how one is run; a shard's nodes see a change when they open it next.

    With `--streets` the table of the city's times is worked out here, if its folder has none.
    """
    try:
        settings = Settings(
            centre=LatLng(lat, lng),
            speed_mps=speed_kmh / 3.6,
            detour=detour,
            solver=checked_policy(policy),
            timezone=timezone or (load_city(streets).timezone if streets else ""),
            streets=streets
            and Streets(folder=str(streets.resolve()), vehicle=vehicle, lookup=lookup),
        )
        opened(ways_of(settings))
    except ValueError as error:
        refuse(str(error))
    with told_plainly():
        row = trio.run(_add, name, settings)
    typer.echo(f"{row.market_id} is run in shard {row.shard:x}")


@app.command("list")
def list_markets(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the cities."""
    with told_plainly():
        rows = trio.run(_fetch)
    if as_json:
        typer.echo(msgspec.json.encode({"markets": [_shown(row) for row in rows]}))
        return
    if not rows:
        typer.echo("there is no market yet: add one with `dispatch market add`")
        return
    table = Table("market", "shard", "centre", "clocks", "km/h", "solver", box=None)
    for row in rows:
        settings = _settings.decode(row.settings)
        centre = f"{settings.centre.lat:.4f}, {settings.centre.lng:.4f}"
        speed = f"{settings.speed_mps * 3.6:.1f}"
        clocks = settings.timezone or "UTC"
        table.add_row(row.market_id, f"{row.shard:x}", centre, clocks, speed, settings.solver)
    Console().print(table)


def _shown(row: MarketRow) -> dict[str, str]:
    timezone = _settings.decode(row.settings).timezone or "UTC"
    return {"market": row.market_id, "shard": f"{row.shard:x}", "timezone": timezone}


async def _add(name: str, settings: Settings) -> MarketRow:
    async with equipped(from_environment()) as config, stored(config) as stores:
        others = await markets.fetch_all(stores.database)
        try:
            row = a_market(name, settings, others)
        except MarketInvalid as error:
            refuse(str(error))
        await markets.save(stores.database, row)
        return row


async def _fetch() -> list[MarketRow]:
    async with equipped(from_environment()) as config, stored(config) as stores:
        return list(await markets.fetch_all(stores.database))
