"""What this node answers on its link: its shards, the feeds, and who owns what as last seen.

A message from a peer is decoded here, by the kind that it is for. One that cannot be read is
refused; one for a shard that is not open here is answered with the owner's address.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
import trio
from msgspec import Struct

from actors.codec import Codec
from actors.failures import ActorFailed, ActorGone
from actors.kind import AnyKind
from dispatch.ids import MarketId, ShardId
from dispatch.lease import View
from dispatch.step import Accepted, Code, Refused
from geo.ping import Track
from node.feeds import FeedHub, Listening
from wire.link import Ask, Failed, Gone, Late, Outcome, Owner

REASON_CHARS_MAX = 1_024


class Askable(Protocol):
    """What the link needs of a shard."""

    async def ask(self, kind: str, key: str, message: Struct, timeout_s: float) -> Struct:
        """Ask an actor; ends as `actors.shard.Shard.ask` does."""
        ...


class ShardBackend:
    """Answers from the shards of this process; fits `node.link.Backend`.

    `find_shard` gives a shard that is open here, `take` takes the pings of its couriers, `view` is
    what the keeper saw last, `markets` the shard of each market.
    """

    def __init__(
        self,
        kinds: Sequence[AnyKind],
        feeds: FeedHub,
        *,
        find_shard: Callable[[ShardId], Askable | None],
        take: Callable[[ShardId, Sequence[Track]], None] = lambda _shard, _tracks: None,
        view: Callable[[], View],
        markets: Callable[[], Mapping[MarketId, ShardId]],
    ) -> None:
        self._codecs = {kind.name: Codec(kind) for kind in kinds}
        self._feeds = feeds
        self._find_shard = find_shard
        self._take = take
        self._view = view
        self._markets = markets

    async def ask(self, asked: Ask) -> Outcome:
        """Ask the actor, and return what became of it as the peer is told it."""
        shard = self._find_shard(asked.shard)
        if shard is None:
            return self._gone(asked.shard, f"shard {asked.shard} is not here")
        message = self._read(asked.kind, asked.message)
        if isinstance(message, Refused):
            return message
        try:
            answer = await shard.ask(asked.kind, asked.key, message, asked.timeout_s)
        except ActorGone as error:
            return self._gone(asked.shard, str(error))
        except ActorFailed as error:
            return Failed(str(error)[:REASON_CHARS_MAX])
        except trio.TooSlowError:
            return Late()
        assert isinstance(answer, Accepted | Refused), f"{asked.kind} answered {answer!r}"
        return answer

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        """Take pings of a shard's couriers; those of a shard that is not here are lost."""
        self._take(shard, tracks)

    def owner(self, number: int, place: ShardId | MarketId) -> Owner:
        """Return who owns the shard or market, with the addresses of all nodes alive."""
        shard = self._markets().get(MarketId(place)) if isinstance(place, str) else place
        peers = tuple(node.address for node in self._view().nodes if node.is_alive)
        return Owner(number, shard, self._address(shard), peers)

    def listening(self, person: str, after: int) -> AbstractContextManager[Listening]:
        """Return the person's messages after that number."""
        return self._feeds.listening(person, after)

    def _read(self, kind: str, message: bytes) -> Struct | Refused:
        codec = self._codecs.get(kind)
        if codec is None:
            return Refused(Code.INVALID, f"nobody here is a {kind!r}")
        try:
            return codec.message(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Refused(Code.INVALID, str(error)[:REASON_CHARS_MAX])

    def _gone(self, shard: ShardId, reason: str) -> Gone:
        return Gone(reason[:REASON_CHARS_MAX], self._address(shard))

    def _address(self, shard: ShardId | None) -> str:
        """Return where the shard's owner is reached, empty while nobody is known to own it."""
        view = self._view()
        owners = [lease.node for lease in view.leases if lease.shard == shard and lease.left_s > 0]
        found = [node.address for node in view.nodes if node.is_alive and node.node in owners]
        return found[0] if found else ""
