"""The page at `/` and the numbers it shows: public, and never about anybody."""

from api.front import FILES, pulse, routes
from api.orders import orders
from dispatch.delivery import Party
from dispatch.order import Cancel
from tests.api.ordering import NORDHAVN, ORDER, customer, ordering
from tests.api.stage import on_stage


async def test_the_pulse_counts_orders_and_names_nobody(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, (orders, pulse)) as stage:
        placed = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        order_id = placed[1]["order_id"]
        await stage.ask("order", order_id, Cancel(Party.SUPPORT))

        status, told, headers = await stage.asked("GET", "/v1/pulse")

    assert status == 200
    assert told["orders"] == {"canceled": 1}
    assert [one["status"] for one in told["latest"]] == ["canceled"]
    assert headers["Cache-Control"] == "public, max-age=1"
    assert not [name for name in (order_id, NORDHAVN, "usr_ida") if name in str(told)]


async def test_many_who_ask_at_once_cost_one_look(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, (orders, pulse)) as stage:
        before = await stage.asked("GET", "/v1/pulse")
        await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        again = await stage.asked("GET", "/v1/pulse")

    assert before[1] == again[1]


async def test_the_page_allows_nothing_but_its_own_files(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [pulse]) as stage:
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
