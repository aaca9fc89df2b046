"""The page at `/`: what it may load, and that it has numbers only where they are for everybody."""

from typing import Any

import msgspec

from api.front import FILES, NUMBERS, routes
from api.orders import orders
from tests.api.ordering import NORDHAVN, ORDER, OTHER_TENANT, customer, ordering
from tests.api.stage import Stage, on_stage


async def numbers(stage: Stage) -> tuple[int, Any]:
    """What anybody is told at the page's own address of numbers."""
    routes(stage.app, stage.edge)
    shown = await stage.client.get(NUMBERS)
    return shown.status_code, msgspec.json.decode(await shown.get_data(as_text=False))


async def test_a_node_that_shows_its_pulse_counts_for_everybody(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, [orders], shows_pulse=True) as stage:
        placed = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        stranger = customer(stage, "usr_eve", tenant_id=OTHER_TENANT)
        await stage.asked("POST", "/v1/orders", stranger, ORDER)
        status, told = await numbers(stage)

    assert status == 200
    assert sum(told["orders"].values()) == 1
    assert told["markets"] == ["copenhagen"]
    names = (placed[1]["order_id"], NORDHAVN, "usr_ida")
    assert not [name for name in names if name in str(told)]


async def test_any_other_node_shows_no_numbers(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, []) as stage:
        status, problem = await numbers(stage)

    assert (status, problem["code"]) == (404, "not-found")


async def test_the_page_allows_nothing_but_its_own_files(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, []) as stage:
        routes(stage.app, stage.edge)
        shown = {path: await stage.client.get(path) for path in FILES}
        known = {"If-None-Match": shown["/"].headers["ETag"]}
        again = await stage.client.get("/", headers=known)
        page = await shown["/"].get_data(as_text=True)

    assert {one.status_code for one in shown.values()} == {200}
    assert "default-src 'none'" in shown["/"].headers["Content-Security-Policy"]
    assert again.status_code == 304
    assert "<script>" not in page
    assert "style=" not in page
