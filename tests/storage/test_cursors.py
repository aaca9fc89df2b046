"""Where a device goes on in its feed: cursors that only move on, and never too far."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dispatch.ids import DeviceId, Instant
from dispatch.journal import Batch, FeedRow
from storage.bridge import bridged
from storage.cursors import BACKLOG_MAX, DEVICES_MAX, Cursor, find_start, store_cursors
from storage.database import Database, connected
from storage.postgres import PostgresStore
from tests.storage.conformance import SHARD

ANN = "usr_ann"
PHONE, TABLET = DeviceId("dev_phone"), DeviceId("dev_tablet")


@asynccontextmanager
async def fed(url: str, count: int) -> AsyncGenerator[Database]:
    """A database in which Ann has so many messages."""
    async with bridged() as bridge, connected(bridge, url) as database:
        store = PostgresStore(database)
        epoch = (await store.open(SHARD)).epoch
        rows = tuple(FeedRow(ANN, b"x") for _ in range(count))
        await store.commit(Batch(SHARD, epoch, 1, Instant(0), feed=rows))
        yield database


async def begun(database: Database, person: str, device: DeviceId, last: int | None) -> int:
    """Return after which message a device goes on that has missed none."""
    start = await find_start(database, person, device, last)
    assert not start.is_anew
    return start.message_id


async def test_each_device_goes_on_from_its_own_cursor(database: str) -> None:
    async with fed(database, 9) as there:
        await store_cursors(there, [Cursor(ANN, PHONE, 7), Cursor(ANN, TABLET, 3)])

        starts = [await begun(there, ANN, device, None) for device in (PHONE, TABLET)]
        named = await begun(there, ANN, PHONE, 2)

    assert starts == [7, 3]
    assert named == 2


async def test_a_cursor_only_moves_on_and_never_beyond_the_newest(database: str) -> None:
    async with fed(database, 9) as there:
        for acked in (5, 2, 5):
            await store_cursors(there, [Cursor(ANN, PHONE, acked), Cursor(ANN, PHONE, 1)])
        late = await begun(there, ANN, PHONE, None)
        await store_cursors(there, [Cursor(ANN, PHONE, 1_000), Cursor("usr_none", PHONE, 5)])
        early = await begun(there, ANN, PHONE, None)
        beyond = await begun(there, ANN, PHONE, 1_000)
        nobody = await begun(there, "usr_none", PHONE, None)

    assert (late, early, beyond, nobody) == (5, 9, 9, 0)


async def test_a_new_device_begins_with_the_first_message_or_with_the_last_ones(
    database: str,
) -> None:
    async with fed(database, BACKLOG_MAX + 5) as there:
        new = await begun(there, ANN, PHONE, None)
        whole = await begun(there, ANN, PHONE, 0)

    assert (new, whole) == (5, 0)


async def test_the_device_that_was_silent_for_longest_makes_room(database: str) -> None:
    devices = [DeviceId(f"dev_{at:03}") for at in range(DEVICES_MAX + 3)]
    async with fed(database, 9) as there:
        for device in devices:
            await store_cursors(there, [Cursor(ANN, device, 4)])
        starts = [await begun(there, ANN, device, None) for device in devices]

    assert starts == [0, 0, 0] + [4] * DEVICES_MAX
