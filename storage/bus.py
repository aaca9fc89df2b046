"""The bus through Redis: one stream for each shard, which whoever owns the shard reads.

A letter may be lost at any moment, and come twice; whoever sent it sends it again until it is
settled. So nothing is kept for a server that is away: letters are dropped and counted, and what
comes after it is back goes on as if nothing had been. Letters posted by one node for one shard are
handed over in the order in which they were posted, because one task writes them, one round trip
after the other, and one task reads them.

A stream is always read from its beginning, and what was handed over is deleted by name with the
next look. There is no place to remember, so neither a wiped server nor one whose clock went back
can make the reader wait for something that never comes.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import trio
from msgspec import DecodeError, Struct, convert, msgpack

from dispatch.ids import ShardId
from storage.redis import Command, Patience, RedisServer, RedisUnreachable, Reply

LETTER_BYTES_MAX = 1 << 20
"""A longer letter cannot be posted."""
WAITING_MAX = 50_000
"""Letters that may wait to be written; one more is dropped."""
FLUSH_MAX = 4_096
"""Letters of one round trip."""
ENTRY_BYTES = 32_768
"""Letters for one shard share an entry of its stream up to about this size."""
ENTRIES_MAX = 4_000
"""Entries a stream keeps when nobody reads it, about: the oldest are dropped for new ones."""
READ_MAX = 64
"""Entries of one stream that are read at a time."""
LOOK_MS = 100
"""How long one look waits for letters, and so how late a shard that was just opened is noticed."""

type _Entry = tuple[bytes, list[bytes]]
type _Streams = list[tuple[bytes, list[_Entry]]] | None

_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(list[bytes]).decode


class BusStatistics(Struct, frozen=True, kw_only=True):
    """Letters that wait, and what became of the others so far."""

    waiting: int = 0
    posted: int = 0
    dropped: int = 0
    handed_over: int = 0
    unreadable: int = 0


class RedisBus:
    """The bus of one node. For the thread that runs trio."""

    def __init__(self, server: RedisServer, cluster: str, entries_max: int = ENTRIES_MAX) -> None:
        """Carry letters between the nodes that say the same `cluster`."""
        self._server = server
        self._entries_max = entries_max
        self._prefix = f"{cluster}:inbox:"
        self._takes: dict[ShardId, Callable[[bytes], None]] = {}
        self._waiting: deque[tuple[ShardId, bytes]] = deque()
        self._is_away = False
        self._posting, self._opening = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._posted = self._dropped = self._handed_over = self._unreadable = 0

    def post(self, shard: ShardId, letter: bytes) -> None:
        """Send a letter to the owner of the shard, or drop it. Never waits."""
        is_refused = self._is_away or len(self._waiting) >= WAITING_MAX
        if is_refused or len(letter) > LETTER_BYTES_MAX:
            self._dropped += 1
            return
        self._posted += 1
        self._waiting.append((shard, letter))
        self._posting.unpark_all()

    def open(self, shard: ShardId, take: Callable[[bytes], None]) -> None:
        """Have the letters of a shard handed to `take`, beginning with those that wait for it."""
        self._takes[shard] = take
        self._opening.unpark_all()

    def close(self, shard: ShardId) -> None:
        """Hand over no more letters of the shard; those that come wait for its next owner."""
        self._takes.pop(shard, None)

    async def run(self) -> None:
        """Carry letters until cancelled; a server that is away is waited for."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            nursery.start_soon(self._read)

    def statistics(self) -> BusStatistics:
        """Return what became of the letters."""
        return BusStatistics(
            waiting=len(self._waiting),
            posted=self._posted,
            dropped=self._dropped,
            handed_over=self._handed_over,
            unreadable=self._unreadable,
        )

    async def _write(self) -> None:
        patience = Patience()
        while True:
            while not self._waiting:
                await self._posting.park()
            count = min(len(self._waiting), FLUSH_MAX)
            letters = [self._waiting.popleft() for _ in range(count)]
            try:
                await self._server.exchange(self._additions(letters))
                patience.reset()
            except RedisUnreachable:
                self._drop_all(count)
                self._is_away = True
                await patience.wait()
                self._is_away = False

    def _drop_all(self, under_way: int) -> None:
        """Give up what was under way, and what waits behind it: that would only come too early."""
        self._dropped += under_way + len(self._waiting)
        self._waiting.clear()

    def _additions(self, letters: Sequence[tuple[ShardId, bytes]]) -> list[Command]:
        """Return the commands that put the letters into their streams, many by one entry."""
        by_shard: dict[ShardId, list[bytes]] = {}
        for shard, letter in letters:
            by_shard.setdefault(shard, []).append(letter)
        bounded = ("maxlen", "~", self._entries_max, "*")
        return [
            ("xadd", self._key(shard), *bounded, "letters", _pack(entry))
            for shard, posted in by_shard.items()
            for entry in _entries(posted)
        ]

    async def _read(self) -> None:
        patience = Patience()
        done: list[Command] = []
        while True:
            while not self._takes:
                await self._opening.park()
            shards = {self._key(shard).encode(): shard for shard in self._takes}
            look: Command = ("xread", "count", READ_MAX, "block", LOOK_MS, "streams", *shards)
            try:
                replies = await self._server.exchange([*done, (*look, *(0,) * len(shards))])
                patience.reset()
            except RedisUnreachable:
                done = []
                await patience.wait()
            else:
                done = await self._deletions(shards, replies[-1])

    async def _deletions(self, shards: Mapping[bytes, ShardId], reply: Reply) -> list[Command]:
        """Hand over what was read, and return the commands that delete it."""
        deletions: list[Command] = []
        for key, entries in convert(reply, _Streams) or ():
            done = [name for name, fields in entries if await self._hand_over(shards[key], fields)]
            if done:
                deletions.append(("xdel", key, *done))
        return deletions

    async def _hand_over(self, shard: ShardId, fields: Sequence[bytes]) -> bool:
        """Hand the letters of one entry over; False if the shard was closed meanwhile."""
        await trio.lowlevel.checkpoint()
        take = self._takes.get(shard)
        if take is None:
            return False
        try:
            letters = _unpack(fields[-1])
        except DecodeError:
            self._unreadable += 1
            return True
        for letter in letters:
            take(letter)
        self._handed_over += len(letters)
        return True

    def _key(self, shard: ShardId) -> str:
        return f"{self._prefix}{shard}"


def _entries(letters: Sequence[bytes]) -> list[list[bytes]]:
    """Return the letters in their order, in entries of about the size that they may have."""
    entries: list[list[bytes]] = []
    room = 0
    for letter in letters:
        if room < len(letter) or not entries:
            entries.append([])
            room = ENTRY_BYTES
        entries[-1].append(letter)
        room -= len(letter)
    return entries
