"""Where a shift is being started is known, so that nobody starts it in two places."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dispatch.ids import CourierId, ShardId
from storage import shifts
from storage.bridge import bridged
from storage.database import Database, connected

COURIER = CourierId("crr_1")
HERE, THERE = ShardId(1), ShardId(2)


@asynccontextmanager
async def stored(url: str) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield database


async def test_a_shift_being_started_here_is_started_nowhere_else(database: str) -> None:
    async with stored(database) as there:
        told = [
            await shifts.begin(there, COURIER, HERE),
            await shifts.begin(there, COURIER, HERE),
            await shifts.begin(there, COURIER, THERE),
            await shifts.begin(there, CourierId("crr_2"), THERE),
        ]

    assert told == [True, True, False, True]


async def test_once_it_is_settled_here_it_can_be_started_elsewhere(database: str) -> None:
    async with stored(database) as there:
        await shifts.begin(there, COURIER, HERE)
        await shifts.settle(there, COURIER, THERE)
        too_early = await shifts.begin(there, COURIER, THERE)
        await shifts.settle(there, COURIER, HERE)
        in_time = await shifts.begin(there, COURIER, THERE)

    assert (too_early, in_time) == (False, True)


async def test_a_start_that_nobody_settles_lapses(database: str) -> None:
    async with stored(database) as there:
        await shifts.begin(there, COURIER, HERE, start_s=0.0)
        afterwards = await shifts.begin(there, COURIER, THERE)

    assert afterwards


async def test_who_never_worked_is_nowhere(database: str) -> None:
    async with stored(database) as there:
        found = await shifts.find(there, COURIER)

    assert found is None
