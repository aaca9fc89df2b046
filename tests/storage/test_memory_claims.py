"""The claims in memory do what all claims must."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from node.ports import Claims
from storage.memory_claims import MemoryClaims
from tests.storage.claim_conformance import ClaimConformance


class TestMemoryClaims(ClaimConformance):
    def fresh(self) -> AbstractAsyncContextManager[Claims]:
        return _fresh()


@asynccontextmanager
async def _fresh() -> AsyncGenerator[Claims]:
    await trio.lowlevel.checkpoint()
    yield MemoryClaims(trio.current_time)
