"""`dispatch`: the command line. Each command has a file of its own; this one only names them."""

import sys

import typer

from cli import bench, replay
from cli.simulate import simulate

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A real-time food-delivery dispatch engine.",
)
app.command()(simulate)
app.add_typer(replay.app, name="replay")
app.add_typer(bench.app, name="bench")


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
