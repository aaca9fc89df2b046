"""The wires between a node and what all nodes share, and what happens to things on them.

A call leaves the node's process, is served by a task of nobody's, and its answer comes back; so it
is served even when the node stops or dies meanwhile, and even long after the node has given it up.
A wire that is cut serves nothing. The node learns no more than a real one would: that no answer
came.
"""

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from enum import StrEnum

import trio

from dispatch.journal import JournalUnreachable, LeaseLost
from dispatch.lease import LeasesUnreachable, NodeId
from simulations.faults.plan import Fault, Weather

SLOW_SHARE = 0.2
"""Of all calls; the others take no time, which is as good an order as any."""
SLOW_S = (0.001, 0.05)
GIVEN_UP_S = 1.0
LATE_S = (0.5, 9.0)
ERRORS = (JournalUnreachable, LeaseLost, LeasesUnreachable)


class Wire(StrEnum):
    """What a node is connected to."""

    JOURNAL = "journal"
    LEASES = "leases"
    BUS = "bus"


class NoAnswer(Exception):
    """Nothing came back; whether the call was served is not known."""


class Call[T]:
    """One call under way: what came of it, and the bell that rings when that is back."""

    __slots__ = ("_came", "done")

    def __init__(self) -> None:
        self.done = trio.Event()
        self._came: tuple[T] | Exception = NoAnswer()

    async def serve(self, work: Callable[[], Awaitable[T]]) -> None:
        """Do the work and keep what came of it."""
        try:
            self._came = (await work(),)
        except ERRORS as error:
            self._came = error

    def answer(self) -> T:
        """Return or raise what came of it."""
        if isinstance(self._came, Exception):
            raise self._came
        return self._came[0]


class Network:
    """All wires of a cluster. Tasks that serve calls live in `nursery` and belong to no process."""

    def __init__(self, nursery: trio.Nursery, weather: Weather) -> None:
        """Be made outside of any process."""
        self._nursery = nursery
        self._nobody = copy_context()
        self._cuts: dict[tuple[NodeId, Wire], int] = {}
        self._is_away: dict[Wire, int] = {}
        self.weather = weather

    def is_cut(self, node: NodeId, wire: Wire) -> bool:
        """Tell whether nothing gets through between this node and that."""
        return bool(self._cuts.get((node, wire)) or self._is_away.get(wire))

    async def cut(self, node: NodeId, wire: Wire, lasts_s: float) -> None:
        """Let nothing through for a while."""
        self._cuts[node, wire] = self._cuts.get((node, wire), 0) + 1
        await trio.sleep(lasts_s)
        self._cuts[node, wire] -= 1

    async def take_away(self, wire: Wire, lasts_s: float) -> None:
        """Let nobody reach this for a while."""
        self._is_away[wire] = self._is_away.get(wire, 0) + 1
        await trio.sleep(lasts_s)
        self._is_away[wire] -= 1

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task that belongs to no process."""
        self._nobody.run(self._nursery.start_soon, work)

    async def read[T](self, node: NodeId, wire: Wire, work: Callable[[], Awaitable[T]]) -> T:
        """Have something looked up at the other end; raise `NoAnswer` when the wire is cut."""
        await self._travelled(is_write=False)
        if self.is_cut(node, wire):
            await trio.sleep(GIVEN_UP_S)
            raise NoAnswer
        return await work()

    async def write[T](self, node: NodeId, wire: Wire, work: Callable[[], Awaitable[T]]) -> T:
        """Have something done at the other end; raise `NoAnswer` when no word of it came in time.

        It is done even if the node stops, dies or gives it up meanwhile.
        """
        call = Call[T]()
        self.start(lambda: self._serve(node, wire, work, call))
        with trio.move_on_after(GIVEN_UP_S) as waiting:
            await call.done.wait()
        if waiting.cancelled_caught:
            raise NoAnswer
        return call.answer()

    async def _serve[T](
        self, node: NodeId, wire: Wire, work: Callable[[], Awaitable[T]], call: Call[T]
    ) -> None:
        await self._travelled(is_write=True)
        if self.is_cut(node, wire):
            return
        await call.serve(work)
        is_lost = self.weather.strikes(Fault.ANSWER_LOST) or self.is_cut(node, wire)
        if not is_lost:
            call.done.set()

    async def _travelled(self, *, is_write: bool) -> None:
        if is_write and self.weather.strikes(Fault.WRITE_LATE):
            await trio.sleep(self.weather.uniform(*LATE_S))
        elif self.weather.uniform(0.0, 1.0) < SLOW_SHARE:
            await trio.sleep(self.weather.uniform(*SLOW_S))
        else:
            await trio.lowlevel.checkpoint()
