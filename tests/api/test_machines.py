"""The machines as served are the tables by which they move."""

from api.machines import PUBLIC, VIEWS, machines
from dispatch.delivery import DELIVERY_LEGAL
from tests.api.stage import on_stage


def test_every_public_machine_is_shown_and_no_other() -> None:
    assert tuple(VIEWS) == PUBLIC


def test_a_machine_shows_each_arrow_of_its_table_once() -> None:
    shown = VIEWS["delivery"]

    ways = {(str(before), str(to)) for before, row in DELIVERY_LEGAL.items() for to in row.values()}
    assert sorted((one.before, one.after) for one in shown.arrows) == sorted(ways)
    assert sum(len(one.causes) for one in shown.arrows) == sum(map(len, DELIVERY_LEGAL.values()))
    assert set(shown.terminal) == {str(one) for one, row in DELIVERY_LEGAL.items() if not row}


async def test_the_machines_are_served_by_name(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [machines]) as stage:
        every = await stage.asked("GET", "/v1/state-machines")
        order = await stage.asked("GET", "/v1/state-machines/order")
        none = await stage.asked("GET", "/v1/state-machines/round")

    assert [one["name"] for one in every[1]["machines"]] == list(PUBLIC)
    assert order[1]["first"] == "placed"
    assert {"from": "placed", "to": "accepted", "causes": ["accept"]} in order[1]["arrows"]
    assert none[0] == 404
