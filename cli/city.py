"""`dispatch city`: make a city folder of an extract of OpenStreetMap, and show what one holds."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from cli.faults import refuse
from streets.folder import BadFolder, City, load_city, load_network
from streets.importing import Import, NoCity, import_city
from streets.request import Report

SUFFIXES = (".osm.pbf", ".pbf")

app = typer.Typer(no_args_is_help=True, help="Import a real city, and show what is known of it.")


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="An extract of OpenStreetMap, .osm.pbf.")],
    to: Annotated[Path | None, typer.Option(help="The folder to make; by default NAME.")] = None,
    name: Annotated[str, typer.Option(help="The city's name; by default the file's.")] = "",
    timezone: Annotated[str, typer.Option(help="Such as Europe/Malta; else guessed.")] = "",
    no_tiles: Annotated[bool, typer.Option("--no-tiles", help="Leave the map out.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Import it anew.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a city folder: roads by vehicle, restaurants, doors and map tiles."""
    called = name.strip() or _called(file)
    target = to if to is not None else Path(called)
    wanted = Import(
        source=file,
        target=target,
        name=called,
        timezone=timezone,
        replace=replace,
        has_tiles=not no_tiles,
    )
    console = Console(stderr=True)
    try:
        with console.status(f"importing {file}"):
            report = import_city(wanted)
    except NoCity as error:
        refuse(str(error))
    _tell(target, report, as_json=as_json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A city folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what a city folder holds, after a look whether its roads can be read."""
    try:
        city = load_city(folder)
        load_network(folder)
    except BadFolder as error:
        refuse(str(error))
    if as_json:
        typer.echo(msgspec.json.encode(city))
    else:
        Console().print(_table(city))


def _called(file: Path) -> str:
    """Return a file's name without what says that it is an extract."""
    for suffix in SUFFIXES:
        if file.name.lower().endswith(suffix) and len(file.name) > len(suffix):
            return file.name[: -len(suffix)]
    return file.name


def _tell(target: Path, report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({"folder": str(target), **msgspec.to_builtins(report)}))
        return
    for remark in report.remarks:
        typer.echo(f"dispatch: {remark}", err=True)
    Console().print(_table(report.city))
    typer.echo(f"{target} is ready: dispatch simulate --city {target}")


def _table(city: City) -> Table:
    table = Table(title=city.name, caption=city.attribution, show_header=False)
    rows = {
        "extracted at": city.extracted_at or "not said",
        "time zone": city.timezone + (" (a guess)" if city.is_timezone_guessed else ""),
        "centre": f"{city.centre.lat:.5f}, {city.centre.lng:.5f}",
        "junctions, arcs": f"{city.counts.junctions:,}, {city.counts.arcs:,}",
        "restaurants": f"{city.counts.restaurants:,}, {city.counts.with_hours:,} with hours",
        "doors": f"{city.counts.doors:,}, {city.counts.addresses:,} of them house numbers",
        "map tiles": "yes" if city.has_tiles else "no",
    }
    for row in rows.items():
        table.add_row(*row)
    return table
