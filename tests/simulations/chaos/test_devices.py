"""Whoever has two devices hears everything once on both, whatever happens to their nodes."""

import pytest

from cli.equipment import secret
from node.config import Config
from simulations.chaos.devices import Plan, Report, run


# The client library leaves a socket unclosed whose node dies while it shakes hands.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.slow
async def test_each_device_hears_every_message_once_though_its_node_is_killed(
    database: str, redis_url: str
) -> None:
    config = Config(database_url=database, redis_url=redis_url, cluster_secret=secret())
    told: list[str] = []

    report = await run(config, Plan(kills=2, nodes=2), told.append)

    assert report.is_clean, report
    assert report.kills == 2
    assert report.messages > 20
    assert sum("ended with -9" in sentence for sentence in told) == 2


@pytest.mark.parametrize("flaw", ["lost", "doubled", "out_of_order"])
def test_a_run_with_one_flaw_is_not_clean(flaw: str) -> None:
    clean = {"lost": 0, "doubled": 0, "out_of_order": 0}

    report = Report(kills=1, messages=9, devices=2, reconnect_s=None, **clean | {flaw: 1})

    assert not report.is_clean
