"""`dispatch demo`: a city that lives on this machine, to look at and to take part in."""

import signal
import socket
import sys
from typing import Annotated

import trio
import typer
from msgspec import structs

from cli.equipment import fresh
from cli.faults import refuse, told_plainly
from simulations.living import Ending, Plan, live
from simulations.load.api import ApiFailed
from simulations.load.site import SiteFailed

PORT = 8080
UNATTENDED_S = 120.0
"""Without a terminal nobody ends it, so it ends by itself."""


def demo(
    minutes: Annotated[
        float | None, typer.Option(min=0.1, max=10_000, help="How long; else until Ctrl-C.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, max=8, help="Node processes.")] = 2,
    couriers: Annotated[int, typer.Option(min=1, max=60, help="Robo-couriers.")] = 40,
    port: Annotated[int, typer.Option(min=0, max=65_000, help="The first node's.")] = PORT,
) -> None:
    """Have a small city live on servers of its own, and say how to take part in it."""
    seconds = None if sys.stdout.isatty() else UNATTENDED_S
    seconds = seconds if minutes is None else 60 * minutes
    plan = Plan(nodes=nodes, couriers=couriers, seconds=seconds)
    try:
        with told_plainly():
            ending = trio.run(_demo, plan, port)
    except* (ApiFailed, SiteFailed) as errors:
        refuse(str(errors.exceptions[0]))
    else:
        told = f"{ending.placed} orders were placed, {ending.delivered} delivered"
        _say(f"{told}; {ending.faults} messages missing, doubled or misplaced")


async def _demo(plan: Plan, port: int) -> Ending:
    ended = trio.Event()
    _say("starting servers and nodes")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_on_signal, ended, nursery)
        async with fresh() as (config, _):
            settings = structs.replace(config, http_port=_free(port, plan.nodes), show_pulse=True)
            ending = await live(settings, plan, _say, ended)
        nursery.cancel_scope.cancel()
    return ending


def _free(port: int, count: int) -> int:
    """Return the port if it and the ones after it can be had, else 0 for any."""
    try:
        for number in range(port, port + count):
            with socket.create_server(("127.0.0.1", number)):
                pass
    except OSError:
        return 0
    return port


async def _end_on_signal(ended: trio.Event, nursery: trio.Nursery) -> None:
    """End in order at the first Ctrl-C or SIGTERM, at once at the second."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if ended.is_set():
                nursery.cancel_scope.cancel()
            _say("ending; once more to end at once")
            ended.set()


def _say(sentence: str) -> None:
    typer.echo(f"demo: {sentence}")
