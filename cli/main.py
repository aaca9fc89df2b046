"""`dispatch`: the command line. Each command has a file of its own; this one only names them."""

import sys

import typer

from cli import account, bench, city, letters, market, replay
from cli.chaos import chaos
from cli.demo import demo
from cli.devices import devices
from cli.doctor import doctor
from cli.explain import explain
from cli.load import load
from cli.migrate import migrate_command
from cli.serve import serve
from cli.simulate import simulate

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A real-time food-delivery dispatch engine.",
)
app.command()(simulate)
app.command()(serve)
app.command()(demo)
app.command()(load)
app.command()(chaos)
app.command()(devices)
app.command()(doctor)
app.command()(explain)
app.command("migrate")(migrate_command)
app.add_typer(market.app, name="market")
app.add_typer(account.app, name="account")
app.add_typer(letters.app, name="letters")
app.add_typer(replay.app, name="replay")
app.add_typer(bench.app, name="bench")
app.add_typer(city.app, name="city")


def main() -> None:
    """Run the command that was typed."""
    try:
        app()
    except* OSError as errors:
        typer.echo(f"dispatch: {errors.exceptions[0]}", err=True)
        sys.exit(1)
    except* KeyboardInterrupt:  # Nurseries wrap it in groups.
        typer.echo("dispatch: interrupted", err=True)
        sys.exit(INTERRUPTED)
