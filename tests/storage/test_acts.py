"""The acts of couriers' devices on a real Postgres: each has one outcome, whoever writes it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dispatch.ids import CourierId, DeviceId, Instant, ShardId
from dispatch.step import Code
from storage.acts import Acts, Found, Home, Kept, Outcome, Standing
from storage.bridge import bridged
from storage.database import Database, connected

COURIER = CourierId("crr_1")
PHONE, TABLET = DeviceId("dev_phone"), DeviceId("dev_tablet")


@asynccontextmanager
async def acts_in(url: str) -> AsyncGenerator[tuple[Acts, Database]]:
    """The acts of a database, and the database."""
    async with bridged() as bridge, connected(bridge, url) as database:
        yield Acts(database), database


def an_act(counter: int, code: Code | None = None, device_id: DeviceId = PHONE) -> Kept:
    return Kept(
        courier_id=COURIER,
        device_id=device_id,
        counter=counter,
        acted_at=Instant(1_800_000_000_000),
        action="pause",
        outcome=Outcome(code, "told" if code else ""),
    )


async def test_an_outcome_once_written_stays(database: str) -> None:
    async with acts_in(database) as (acts, _):
        await acts.keep([an_act(1), an_act(2, Code.NOT_LEGAL_NOW), an_act(2)])
        await acts.keep([an_act(1, Code.FAILED), an_act(2)])
        found = [await acts.find(COURIER, PHONE, counter) for counter in (1, 2, 3)]

    assert found == [
        Found(Outcome(), 2),
        Found(Outcome(Code.NOT_LEGAL_NOW, "told"), 2),
        Found(None, 2),
    ]


async def test_each_device_of_a_courier_numbers_its_own_acts(database: str) -> None:
    async with acts_in(database) as (acts, _):
        await acts.keep([an_act(1), an_act(2), an_act(7, device_id=TABLET)])
        standing = [await acts.greet(COURIER, one) for one in (PHONE, TABLET, DeviceId("new"))]

    assert standing == [Standing(None, 2), Standing(None, 7), Standing(None, 0)]


async def test_a_courier_is_at_home_where_his_shard_last_committed_him(database: str) -> None:
    row = "insert into couriers (courier_id, shard, market_id, stage, updated_at)"

    async with acts_in(database) as (acts, there):
        await there.call(
            lambda one: one.execute(
                f"{row} values ('crr_1', 7, 'm', 'paused', now()), ('crr_2', 8, 'm', 'off', now())"
            )
        )
        homes = await acts.homes([COURIER, CourierId("crr_2"), CourierId("crr_3")])
        standing = await acts.greet(COURIER, PHONE)

    assert homes == {
        "crr_1": Home(ShardId(7), is_on_shift=True),
        "crr_2": Home(ShardId(8), is_on_shift=False),
    }
    assert standing == Standing(homes[COURIER], 0)


async def test_old_outcomes_are_forgotten_but_for_the_last_of_a_device(database: str) -> None:
    async with acts_in(database) as (acts, _):
        await acts.keep([an_act(1), an_act(2), an_act(3)])
        kept = await acts.forget_old(60.0)
        forgotten = await acts.forget_old(0.0)
        found = [await acts.find(COURIER, PHONE, counter) for counter in (2, 3)]

    assert (kept, forgotten) == (0, 2)
    assert found == [Found(None, 3), Found(Outcome(), 3)]
