"""How the edge of this node reaches actors, wherever their shard is; fits `api.ports.Actors`.

A shard that is open here is asked at once; any other over the link, by a client of the cluster that
is told of the nodes that are alive. Pings for another node's shard are gathered for a moment and go
there in one frame; what cannot be brought is lost, since the next ping says it again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import trio
from msgspec import Struct

from actors.failures import ActorGone
from actors.shard import Shard
from api.ports import Unavailable
from dispatch.ids import ShardId
from dispatch.lease import View
from dispatch.step import Accepted, Refused
from geo.ping import Track
from node.cluster import ClusterClient

ASK_S = 8.0
"""Time an edge waits for an actor's answer, a takeover of its shard included."""
HERE_S = 3.0
"""Time a shard of this node has; after that it is asked wherever it is by then."""
GATHER_S = 0.04
BRING_S = 0.5
TRACKS_MAX = 20_000
"""Tracks that wait for one shard; with more, the oldest are lost."""
MEET_S = 1.0

type Take = Callable[[ShardId, Sequence[Track]], None]


class Reach:
    """The actors of all nodes, from here."""

    def __init__(
        self,
        shards: Mapping[ShardId, Shard],
        take: Take,
        cluster: ClusterClient,
        view: Callable[[], View],
    ) -> None:
        """`shards` are those of this node, whose pings `take` takes."""
        self._shards = shards
        self._take = take
        self._cluster = cluster
        self._view = view
        self._gathered: dict[ShardId, list[Track]] = {}
        self._has_some = trio.Event()

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        """Ask an actor and return its answer; raises `Unavailable`, and `ActorFailed`."""
        try:
            with trio.fail_after(ASK_S):
                answer = await self._asked_here(shard, kind, key, message)
                if answer is not None:
                    return answer
                return await self._cluster.ask(shard, kind, key, message, ASK_S)
        except trio.TooSlowError as error:
            raise Unavailable(f"{kind} {key} did not answer within {ASK_S:g} s") from error

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        """Bring a shard the pings of its couriers."""
        if shard in self._shards:
            self._take(shard, tracks)
            return
        gathered = self._gathered.setdefault(shard, [])
        gathered += tracks
        del gathered[:-TRACKS_MAX]
        self._has_some.set()

    def is_here(self, shard: ShardId) -> bool:
        """Tell whether this node has the shard."""
        return shard in self._shards

    async def run(self) -> None:
        """Bring pings to other nodes, and learn which nodes there are, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._meet)
            while True:
                await self._has_some.wait()
                await trio.sleep(GATHER_S)
                await self._bring()

    async def _asked_here(
        self, shard: ShardId, kind: str, key: str, message: Struct
    ) -> Accepted | Refused | None:
        """Ask if the shard is open here; None when it is to be asked wherever it is."""
        here = self._shards.get(shard)
        if here is None:
            return None
        with suppress(ActorGone, trio.TooSlowError):
            answer = await here.ask(kind, key, message, HERE_S)
            assert isinstance(answer, Accepted | Refused), f"{kind} answered {answer!r}"
            return answer
        return None

    async def _bring(self) -> None:
        gathered, self._gathered = self._gathered, {}
        self._has_some = trio.Event()
        for shard, tracks in gathered.items():
            with trio.move_on_after(BRING_S):
                await self._cluster.bring(shard, tracks)

    async def _meet(self) -> None:
        while True:
            self._cluster.meet([node.address for node in self._view().nodes if node.is_alive])
            await trio.sleep(MEET_S)
