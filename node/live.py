"""What is only worth anything now, between the sessions of all nodes: the latest wins.

A message is heard on this node at once, by whoever subscribes here, and by the others over Redis as
long as there are any. Presence comes the same way: a person's arrivals and departures are heard in
a channel of his own. Who may hear what is not decided here.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import trio
from msgspec import DecodeError, msgpack

from api.channels import AWAY, HERE, presence_channel
from api.ports import Hear
from dispatch.lease import NodeId
from storage.live import RedisLive
from storage.presence import Arrived, Change, RedisPresence

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder[tuple[NodeId, bytes]](tuple[NodeId, bytes]).decode


class LiveHub:
    """The live channels of one node; fits `api.ports.Live`."""

    __slots__ = ("_has_others", "_hears", "_node", "_presence", "_wires")

    def __init__(
        self,
        wires: RedisLive,
        presence: RedisPresence,
        node: NodeId,
        has_others: Callable[[], bool],
    ) -> None:
        """Send over `wires` only while the cluster has other nodes."""
        self._wires = wires
        self._presence = presence
        self._node = node
        self._has_others = has_others
        self._hears: dict[str, tuple[Hear, ...]] = {}

    def publish(self, channel: str, message: bytes) -> None:
        """Have whoever listens to the channel hear the message, on any node."""
        self._say(channel, message)
        if self._has_others():
            self._wires.publish(channel, _encode((self._node, message)))

    def subscribe(self, channel: str, hear: Hear) -> Callable[[], None]:
        """Hear what is published from now on, until the returned function is called."""
        hears = self._hears.get(channel, ())
        if not hears:
            self._wires.join(channel)
        self._hears[channel] = (*hears, hear)
        return partial(self._silence, channel, hear)

    async def run(self) -> None:
        """Hear other nodes, and who comes and goes, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wires.run, self._take)
            nursery.start_soon(self._presence.subscribe, self._tell)

    def _silence(self, channel: str, hear: Hear) -> None:
        hears = self._hears.get(channel, ())
        left = tuple(one for one in hears if one is not hear)
        if left:
            self._hears[channel] = left
        elif hears:
            del self._hears[channel]
            self._wires.leave(channel)

    def _take(self, channel: str, sent: bytes) -> None:
        """Take what came over the wires; what this node sent itself was heard already."""
        with suppress(DecodeError, UnicodeDecodeError):
            node, message = _decode(sent)
            if node != self._node:
                self._say(channel, message)

    def _tell(self, change: Change) -> None:
        self._say(presence_channel(change.person), HERE if isinstance(change, Arrived) else AWAY)

    def _say(self, channel: str, message: bytes) -> None:
        for hear in self._hears.get(channel, ()):
            hear(message)
