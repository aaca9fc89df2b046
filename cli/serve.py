"""`dispatch serve`: run nodes on this machine, on servers of their own unless others are named."""

import signal
from typing import Annotated

import trio
import typer

from cli.equipment import equipped
from cli.faults import told_plainly
from node.config import Config, from_environment
from node.fleet import Fleet


def serve(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Node processes to run.")] = 1,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_000, help="The first one's; the others' follow it.")
    ] = None,
) -> None:
    """Run nodes until Ctrl-C, which has them hand over what they have and end in order."""
    with told_plainly():
        asked = None if port is None else str(port)
        trio.run(_serve, from_environment({"WORKERS": str(workers), "HTTP_PORT": asked}))


async def _serve(config: Config) -> None:
    async with equipped(config, starts=True) as settings:
        fleet = Fleet(settings, settings.workers, lambda told: typer.echo(f"dispatch: {told}"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_leave_on_signal, fleet, nursery)
            await fleet.run()
            nursery.cancel_scope.cancel()


async def _leave_on_signal(fleet: Fleet, nursery: trio.Nursery) -> None:
    """Leave in order at the first Ctrl-C or SIGTERM, at once at the second."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if not fleet.is_leaving:
                typer.echo("dispatch: handing over; once more to end at once")
                fleet.leave()
            else:
                nursery.cancel_scope.cancel()
