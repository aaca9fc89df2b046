"""A shard of actors as its node sees it: opened, spoken to, stopped, and recovered when it fails.

The shard is the lasting name for a row of lives. Edges `tell` and `ask` it; an `ask` always ends,
with the answer after its commit, a refusal, `ActorFailed`, `ActorGone` or a timeout. An edge's tell
counts once the state it led to is committed: who must know asks. Relays and services bring parcels
and answers. All of this is for the thread that runs trio.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import trio
from msgspec import Struct, structs

from actors.envelope import Envelope
from actors.failures import ActorGone
from actors.kind import AnyKind
from actors.life import Identity, Life, Ports, opened
from actors.limits import Limits
from actors.ports import Parcel
from actors.statistics import Statistics, Totals
from dispatch.ids import ShardId
from dispatch.journal import DeadLetter
from dispatch.step import Refused, Tell

LIMITS = Limits()


class Shard:
    """The actors that live in one shard."""

    __slots__ = ("_identity", "_is_stopped", "_life", "_opened")

    def __init__(
        self, shard: ShardId, kinds: Sequence[AnyKind], ports: Ports, limits: Limits = LIMITS
    ) -> None:
        self._identity = Identity(
            shard=shard,
            kinds=tuple(kinds),
            ports=ports,
            limits=limits,
            totals=Totals(),
            dead_letters=deque(maxlen=limits.dead_letters_max),
        )
        self._life: Life | None = None
        self._is_stopped = False
        self._opened = trio.Event()

    @property
    def id(self) -> ShardId:
        """Return which shard this is."""
        return self._identity.shard

    @property
    def epoch(self) -> int:
        """Return the epoch of the life that is open, 0 without one."""
        return 0 if self._life is None else self._life.epoch

    @property
    def is_stopped(self) -> bool:
        """Tell whether the shard was told to stop."""
        return self._is_stopped

    async def run(self) -> None:
        """Live once: open the journal, recover, and serve until stopped.

        Raises `ShardFailed` when it is to be recovered by another call, `LeaseLost` when another
        owner has it.
        """
        if self._is_stopped:
            return
        recovered = await opened(self._identity)
        self._life = Life(self._identity, recovered)
        self._identity.totals.recoveries += 1
        self._opened.set()
        try:
            if not self._is_stopped:
                await self._life.run()
        finally:
            self._life = None
            self._opened = trio.Event()

    async def opening(self) -> None:
        """Wait until the shard is open."""
        await self._opened.wait()

    def stop(self) -> None:
        """Take nothing new, work off and commit what waits, and let `run` return."""
        self._is_stopped = True
        if self._life is not None:
            self._life.stop()

    def tell(self, kind: str, key: str, message: Struct) -> Refused | None:
        """Tell an actor something from the edge; return why not, or None when it was taken."""
        return self._open_life().tell(kind, key, Envelope(message))

    async def ask(self, kind: str, key: str, message: Struct, timeout_s: float) -> Struct:
        """Tell an actor something from the edge and return its answer, once that is committed.

        The answer is `Accepted` when the actor gave none, and `Refused` when it or the shard
        refused. Raises `ActorFailed` when the handler failed, `ActorGone` when the shard is not
        open or goes down meanwhile, `trio.TooSlowError` when it takes longer than `timeout_s`.
        """
        with trio.CancelScope(deadline=trio.current_time() + timeout_s):  # A dear call, made often.
            return await self._open_life().ask(kind, key, message)
        raise trio.TooSlowError(f"{kind} {key} did not answer within {timeout_s:g} s")

    def deliver(self, parcel: Parcel) -> None:
        """Take a tell from another shard. What came before is dropped, and settled once more."""
        self._open_life().deliver(parcel)

    def settle(
        self, sequence: int, tell: Tell | None = None, letter: DeadLetter | None = None
    ) -> None:
        """Take an outbox row as done with: its shard has handled it, or its service has.

        A service's answer is the `tell`; the row goes in the commit in which that is handled. Work
        that came to nothing leaves a `letter`, in the same commit at the latest.
        """
        self._open_life().settle(sequence, tell, letter)

    async def resubmit(self, kind: str, key: str, message: bytes, timeout_s: float) -> None:
        """Give a service (`kind` is `service:NAME`) work again, whose message is written already.

        Returns once that is committed. Raises `ActorGone` when the shard is not open or goes down
        meanwhile, `trio.TooSlowError` when it takes longer than `timeout_s`.
        """
        with trio.fail_after(timeout_s):
            await self._open_life().resubmit(kind, key, message)

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over keys and states of a kind in memory, as they are now, committed or not."""
        return self._open_life().kernel.states(kind)

    def find_state(self, kind: str, key: str) -> object | None:
        """Return an actor's state if it is in memory, as it is now, committed or not."""
        return self._open_life().kernel.find_state(kind, key)

    def unpark(self, kind: str, key: str) -> bool:
        """Let an actor run again that was parked for its failures; False when it was not."""
        return self._open_life().unpark(kind, key)

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Return the newest messages that failed, oldest first; the journal keeps them all."""
        return tuple(self._identity.dead_letters)

    def statistics(self) -> Statistics:
        """Return how the shard stands."""
        if self._life is None:
            return Statistics(totals=structs.replace(self._identity.totals))
        return self._life.statistics()

    def _open_life(self) -> Life:
        if self._life is None:
            raise ActorGone(f"shard {self.id} is not open")
        return self._life
