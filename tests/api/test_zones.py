"""Where there is service is told to everybody."""

import pytest

from api.zones import zones
from tests.api.stage import CENTRE, MARKET, SHARD, on_stage


async def test_a_zone_is_shown_with_its_cells_and_its_outline(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [zones]) as stage:
        status, zone, _ = await stage.asked("GET", f"/v1/zones/{MARKET}")
        _, listed, _ = await stage.asked("GET", "/v1/zones")

    assert status == 200
    assert zone["cells"] == [f"{SHARD:x}"]
    assert zone["boundary"]["type"] == "MultiPolygon"
    ring = zone["boundary"]["coordinates"][0][0]
    assert min(lng for lng, _ in ring) < CENTRE.lng < max(lng for lng, _ in ring)
    assert listed == {"data": [zone], "has_more": False, "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "status"),
    [("lat=55.68&lng=12.57", 200), ("lat=48.85&lng=2.35", 404), ("lat=95&lng=0", 422), ("", 422)],
)
async def test_a_place_is_in_a_zone_or_in_none(
    database: str, redis_url: str, query: str, status: int
) -> None:
    async with on_stage(database, redis_url, [zones]) as stage:
        found = await stage.asked("GET", f"/v1/zones/at?{query}")

    assert found[0] == status


async def test_a_market_that_is_not_there_has_no_zone(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [zones]) as stage:
        missing = await stage.asked("GET", "/v1/zones/atlantis")

    assert missing[0] == 404
