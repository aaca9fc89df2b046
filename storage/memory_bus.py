"""The bus in memory, for simulations and tests: the same letters, in the same order.

It promises no more than a bus does, and less often fails: letters are lost only when too many wait.
What is posted is handed over by the task of the node that reads, never within the call that posts.
With two nodes that have opened one shard, each letter goes to whichever runs first.
"""

from collections import deque
from collections.abc import Callable

import trio

from dispatch.ids import ShardId

WAITING_MAX = 50_000
"""Letters that may wait for a shard; the oldest one is dropped for one more."""


class MemoryBus:
    """The letters of one cluster; each node has a seat."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._waiting: dict[ShardId, deque[bytes]] = {}
        self._arriving = trio.lowlevel.ParkingLot()

    def seat(self) -> "Seat":
        """Return the bus as one more node has it."""
        return Seat(self)

    def wipe(self) -> None:
        """Lose every letter that waits."""
        self._waiting.clear()

    def put(self, shard: ShardId, letter: bytes) -> None:
        """Let a letter wait for its shard."""
        waiting = self._waiting.setdefault(shard, deque(maxlen=self._waiting_max))
        waiting.append(letter)
        self.wake()

    def wake(self) -> None:
        """Have every node look whether something is there for it."""
        self._arriving.unpark_all()

    async def arrival(self) -> None:
        """Wait until somebody should look."""
        await self._arriving.park()

    def waiting(self, shard: ShardId) -> int:
        """Return how many letters wait for a shard."""
        return len(self._waiting.get(shard, ()))

    def pull(self, shard: ShardId) -> bytes:
        """Take out the oldest letter that waits for a shard; there is one."""
        return self._waiting[shard].popleft()


class Seat:
    """One node's place at the bus."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._takes: dict[ShardId, Callable[[bytes], None]] = {}

    def post(self, shard: ShardId, letter: bytes) -> None:
        """Send a letter to the owner of the shard."""
        self._bus.put(shard, letter)

    def open(self, shard: ShardId, take: Callable[[bytes], None]) -> None:
        """Have the letters of a shard handed to `take`, beginning with those that wait for it."""
        self._takes[shard] = take
        self._bus.wake()

    def close(self, shard: ShardId) -> None:
        """Hand over no more letters of the shard; those that come wait for its next owner."""
        self._takes.pop(shard, None)

    async def run(self) -> None:
        """Carry letters until cancelled."""
        while True:
            await trio.lowlevel.checkpoint()
            if not sum(self._hand_over(shard) for shard in tuple(self._takes)):
                await self._bus.arrival()

    def _hand_over(self, shard: ShardId) -> int:
        """Hand over what waits for a shard, unless that closes it, and return how much it was."""
        count = self._bus.waiting(shard)
        for _ in range(count):
            if take := self._takes.get(shard):
                take(self._bus.pull(shard))
        return count
