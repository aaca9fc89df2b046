"""A person's device: listens to the feed at one node after another, and never loses its place.

It remembers the number of the last message it took and resumes from there wherever it lands. That
each message comes once and in order is for the witness to see.
"""

from collections.abc import Callable
from random import Random

import msgspec
import trio

from simulations.faults.cluster import Listening, Node
from simulations.faults.witness import Witness
from simulations.people import News

STAYS_S = (10.0, 60.0)
NOTICES_S = 1.0
"""A device whose node has died notices after so long."""

_news = msgspec.msgpack.Decoder[News](News)


class Device:
    """One person's place in the feed."""

    def __init__(self, person: str, hear: Callable[[News], None], witness: Witness) -> None:
        """Hand each message to `hear`."""
        self.person = person
        self.cursor = 0
        self._hear = hear
        self._witness = witness

    async def follow(self, nodes: list[Node], chance: Random) -> None:
        """Listen at a node for a while, then at another, for ever."""
        while True:
            node = chance.choice(nodes)
            with trio.move_on_after(chance.uniform(*STAYS_S)):
                await self._listen(node)

    async def _listen(self, node: Node) -> None:
        """Listen at a node until it has died."""
        life = node.life
        listening = Listening(self.person, self.cursor, self._take)
        try:
            if life is not None:
                life.knock(listening)
                await life.ended.wait()
            await trio.sleep(NOTICES_S)
        finally:
            listening.has_left = True

    def _take(self, number: int, message: bytes) -> None:
        self._witness.heard(self.person, self.cursor, number, message)
        self.cursor = number
        self._hear(_news.decode(message))
