"""What nodes tell each other at this moment, over channels of Redis that come and go.

Nothing here is kept and nothing is sent twice: what is published while the server is away, or while
too much waits to be sent, is lost, and whoever needs it finds it elsewhere. All channels are heard
over one connection; when that is lost, every channel that is still wanted is joined again on
another.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress

import trio
from msgspec import Struct

from storage.redis import Command, Ear, Patience, RedisServer, RedisUnreachable

EXCHANGED_MAX = 250
"""Messages of one round trip: more would keep commits waiting on the bridge."""
WAITING_MAX = 20_000
"""Messages that wait to be sent; with more, the oldest are lost."""


class LiveStatistics(Struct, frozen=True, kw_only=True):
    """Channels that are heard, messages that wait, and what came of the others so far."""

    channels: int
    waiting: int
    sent: int
    lost: int
    heard: int


class RedisLive:
    """The live channels of a cluster, as one node sends and hears them."""

    def __init__(self, server: RedisServer, cluster: str) -> None:
        """Keep channels apart from those of other clusters."""
        self._server = server
        self._prefix = f"{cluster}:live:"
        self._waiting: deque[Command] = deque()
        self._idle = trio.lowlevel.ParkingLot()
        self._wanted: set[str] = set()
        self._changed: dict[str, None] = {}
        self._sent = self._lost = self._heard = 0

    def publish(self, channel: str, message: bytes) -> None:
        """Send a message soon, to whoever hears the channel then."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(("publish", self._prefix + channel, message))
        self._idle.unpark()

    def join(self, channel: str) -> None:
        """Hear a channel from soon on."""
        self._wanted.add(channel)
        self._changed[channel] = None

    def leave(self, channel: str) -> None:
        """Hear it no more."""
        self._wanted.discard(channel)
        self._changed[channel] = None

    async def run(self, hear: Callable[[str, bytes], None]) -> None:
        """Send what is published, and hand what is heard to `hear`, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send)
            nursery.start_soon(self._listen, hear)

    def statistics(self) -> LiveStatistics:
        """Return how the channels stand."""
        return LiveStatistics(
            channels=len(self._wanted),
            waiting=len(self._waiting),
            sent=self._sent,
            lost=self._lost,
            heard=self._heard,
        )

    async def _send(self) -> None:
        while True:
            while not self._waiting:
                await self._idle.park()
            count = min(len(self._waiting), EXCHANGED_MAX)
            commands = [self._waiting.popleft() for _ in range(count)]
            try:
                await self._server.exchange(commands)
                self._sent += count
            except RedisUnreachable:
                self._lost += count

    async def _listen(self, hear: Callable[[str, bytes], None]) -> None:
        patience = Patience()
        while True:
            self._changed = dict.fromkeys(self._wanted)
            ear = self._server.ear()
            try:
                with suppress(RedisUnreachable):
                    await self._listen_by(ear, patience, hear)
            finally:
                ear.close()
            await patience.wait()

    async def _listen_by(
        self, ear: Ear, patience: Patience, hear: Callable[[str, bytes], None]
    ) -> None:
        """Listen until the connection is lost."""
        while True:
            changed, self._changed = self._changed, {}
            join = [self._prefix + one for one in changed if one in self._wanted]
            leave = [self._prefix + one for one in changed if one not in self._wanted]
            for channel, message in await ear.hear(join, leave):
                self._heard += 1
                hear(channel.decode(errors="replace").removeprefix(self._prefix), message)
            patience.reset()
