"""The memory store does what every store must, and forgets history when told to."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from storage.memory import MemoryStore
from tests.storage.conformance import NAME, SHARD, Conformance, Store, full


@asynccontextmanager
async def _memory() -> AsyncGenerator[Store]:
    yield MemoryStore()


class TestMemoryStore(Conformance):
    def fresh(self) -> AbstractAsyncContextManager[Store]:
        return _memory()


async def test_without_history_only_what_recovery_needs_is_kept() -> None:
    store = MemoryStore(keeps_history=False)
    epoch = (await store.open(SHARD)).epoch

    committed = [await store.commit(full(epoch, number)) for number in (1, 2)]
    taken = await store.open(SHARD)

    assert [answer.feed_numbers for answer in committed] == [(1,), (2,)]
    assert taken.checkpoints == full(epoch, 2).checkpoints
    assert [row.sequence for row in taken.outbox] == [1, 2]
    assert await store.history(*NAME) == []
    assert await store.feed("ann", 0) == []
    assert await store.dead_letters() == ()
