"""The benchmark of positions does its work and checks it; its speed is read, not tested, here."""

import pytest

from benchmarks.positions import positions


@pytest.mark.slow
def test_all_structures_find_the_same_couriers() -> None:
    figures = positions(couriers=2_000, seconds=2, seed=3)

    assert figures["pings_per_s"] == 500
    assert figures["core_share"].keys() == {"table", "h3_dicts", "ckdtree_single"}
    assert all(share > 0 for share in figures["core_share"].values())
