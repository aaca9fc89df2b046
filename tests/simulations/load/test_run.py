"""A load on a cluster of its own, one of whose nodes is killed in the middle of it."""

import os
import signal

import pytest
import trio

from cli.equipment import fresh
from geo.point import LatLng
from node.atlas import Settings
from simulations.load.run import POLICY, SPEED_MPS, Plan, Report, run
from simulations.load.site import Site, site

CENTRE = LatLng(55.676, 12.568)
SETTINGS = Settings(centre=CENTRE, speed_mps=SPEED_MPS, policy=POLICY)
PLAN = Plan(couriers=40, customers=10, restaurants=5, rate_s=3.0, seconds=15.0)
BLOW_S = 5.0


async def loaded_and_struck() -> Report:
    """Run a load, and kill the node that clients use once orders are being placed."""
    begun = trio.Event()

    def tell(sentence: str) -> None:
        if "orders a second" in sentence:
            begun.set()

    async def strike(here: Site) -> None:
        await begun.wait()
        await trio.sleep(BLOW_S)
        os.kill(here.running()[0].pid, signal.SIGKILL)

    async with (
        fresh() as (config, _),
        site(config, 2, "load", SETTINGS, tell) as here,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(strike, here)
        return await run(PLAN, here.key, here.doors(), CENTRE, tell)


@pytest.mark.slow
def test_a_load_tells_of_the_node_that_died_and_goes_on_at_the_other() -> None:
    report = trio.run(loaded_and_struck)

    assert any("connection" in what or "closed" in what for what in report.errors), report.errors
    assert not [what for what in report.errors if what.startswith("message")], report.errors
    assert report.counts["connections"] > PLAN.couriers + PLAN.customers
    assert report.orders > 0.8 * report.counts["orders due"]
