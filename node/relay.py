"""What the shards of a cluster send each other, and the letters it travels in.

A shard of this process is reached at once, any other one by the bus. Neither side waits for the
other: a letter that is lost, because the bus was away, or its shard was not open, is sent again by
its source, and one that comes twice is known by its mark. Between two shards letters keep their
order as well as the bus does; what overtakes is refused by the shard and comes again.

What comes from the bus is believed only as far as a damaged or foreign letter can be told: one that
cannot be read, contradicts itself or lies in the wrong shard's stream is counted and dropped. A
shard that is settled forgets a row, so that is the one thing here that must never be made up.
"""

from contextlib import suppress
from functools import partial

from msgspec import DecodeError, Struct, msgpack

from actors.directory import Neighbours
from actors.failures import ActorGone
from actors.ports import Parcel
from actors.shard import Shard
from dispatch.ids import ShardId
from node.ports import Bus

LETTER_BYTES_MAX = 1 << 20
"""A longer letter is not looked into."""
SEQUENCE_MAX = (1 << 63) - 1
"""The largest number that a store can keep."""


class Settled(Struct, frozen=True, array_like=True, tag="settled"):
    """Row `sequence` of the shard `source`, for whom this letter is, was handled."""

    source: ShardId
    sequence: int


type Letter = Parcel | Settled

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder[Letter](Letter).decode


class RelayStatistics(Struct, frozen=True, kw_only=True):
    """What was handed over in this process, posted to others, taken from them, and not believed."""

    near: int
    posted: int
    taken: int
    unreadable: int


class ClusterRelay:
    """The relay of one node's shards; fits `actors.ports.Relay`."""

    __slots__ = ("_bus", "_near", "_neighbours", "_posted", "_taken", "_unreadable")

    def __init__(self, bus: Bus, neighbours: Neighbours) -> None:
        """Reach the shards of this process through `neighbours`, the others by the bus."""
        self._bus = bus
        self._neighbours = neighbours
        self._near = self._posted = self._taken = self._unreadable = 0

    def send(self, target: ShardId, parcel: Parcel) -> None:
        """Bring the parcel to its shard, or lose it."""
        if self._neighbours.holds(target):
            self._near += 1
            self._neighbours.send(target, parcel)
        else:
            self._post(target, parcel)

    def settle(self, source: ShardId, sequence: int) -> None:
        """Tell the source that its row was handled, or lose that."""
        if self._neighbours.holds(source):
            self._near += 1
            self._neighbours.settle(source, sequence)
        else:
            self._post(source, Settled(source, sequence))

    def open(self, shard: Shard) -> None:
        """Hand the letters for a shard to it. It is open by now, or loses them till they return."""
        self._bus.open(shard.id, partial(self._take, shard))

    def close(self, shard: Shard) -> None:
        """Leave the letters for a shard to its next owner."""
        self._bus.close(shard.id)

    def statistics(self) -> RelayStatistics:
        """Return what became of what was sent."""
        return RelayStatistics(
            near=self._near,
            posted=self._posted,
            taken=self._taken,
            unreadable=self._unreadable,
        )

    def _post(self, shard: ShardId, letter: Letter) -> None:
        self._posted += 1
        self._bus.post(shard, _encode(letter))

    def _take(self, shard: Shard, letter: bytes) -> None:
        content = _content(letter)
        if content is None or not _is_sound(content, shard.id):
            self._unreadable += 1
            return
        self._taken += 1
        with suppress(ActorGone):
            match content:
                case Parcel():
                    shard.deliver(content)
                case Settled():
                    shard.settle(content.sequence)


def _content(letter: bytes) -> Letter | None:
    """Return what a letter says, None if that cannot be read."""
    if len(letter) > LETTER_BYTES_MAX:
        return None
    try:
        return _decode(letter)
    except DecodeError:
        return None


def _is_sound(content: Letter, shard: ShardId) -> bool:
    """Tell whether a letter may be meant for the shard, by all that can be seen of it."""
    if not 0 < content.sequence <= SEQUENCE_MAX:
        return False
    match content:
        case Parcel():
            is_ordered = 0 <= content.previous < content.sequence >= content.floor >= 0
            return is_ordered and content.source != shard
        case Settled():
            return content.source == shard
