"""Replays dead letters for the shards of this node, when operations ask for it.

A letter of an actor is unparked and asked again what it was asked; one of a service is given to it
as fresh work. It may happen twice, when this node goes down in between: machines answer a message
that counted as they did before. What came of it is noted with the letter; a message that fails once
more leaves a new letter.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
import trio
from msgspec import Struct

from actors.codec import Codec
from actors.failures import ActorFailed, ActorGone
from actors.kind import AnyKind
from actors.writer import SERVICE
from dispatch.ids import ShardId
from dispatch.letter import Letter, LettersUnreachable
from dispatch.step import Refused
from node.ports import Letters

LOOK_S = 1.0
"""Time between two looks for letters to replay."""
ASK_S = 5.0
"""Time that one letter has."""
CALL_S = 5.0
"""Time that the store of the letters has."""
LETTERS_MAX = 50
"""Letters replayed at one look."""


class Replayer(Protocol):
    """What is needed of a shard."""

    async def ask(self, kind: str, key: str, message: Struct, timeout_s: float) -> Struct:
        """Ask an actor; ends as `actors.shard.Shard.ask` does."""
        ...

    async def resubmit(self, kind: str, key: str, message: bytes, timeout_s: float) -> None:
        """Give a service work again; ends as `actors.shard.Shard.resubmit` does."""
        ...

    def unpark(self, kind: str, key: str) -> bool:
        """Let an actor run again that was parked."""
        ...


class LetterDesk:
    """Looks for letters to replay, and replays them one after the other."""

    def __init__(
        self,
        letters: Letters,
        kinds: Sequence[AnyKind],
        shards: Callable[[], Mapping[ShardId, Replayer]],
    ) -> None:
        """Replay letters of what `shards` gives, which are the shards that are open here."""
        self._letters = letters
        self._codecs = {kind.name: Codec(kind) for kind in kinds}
        self._shards = shards

    async def run(self) -> None:
        """Look again and again until cancelled; a store that is away is asked later."""
        while True:
            with suppress(LettersUnreachable, trio.TooSlowError):
                await self.look()
            await trio.sleep(LOOK_S)

    async def look(self) -> int:
        """Replay what is to be replayed now; return how many letters that were."""
        shards = dict(self._shards())
        if not shards:
            return 0
        with trio.fail_after(CALL_S):
            letters = await self._letters.requested(tuple(shards), LETTERS_MAX)
        replayed = [await self._replay(shards[letter.shard], letter) for letter in letters]
        return sum(replayed)

    async def _replay(self, shard: Replayer, letter: Letter) -> bool:
        """Replay one; False when it has to wait for the shard to be open."""
        try:
            outcome = await self._outcome(shard, letter)
        except (ActorGone, trio.TooSlowError):
            return False
        with trio.fail_after(CALL_S):
            await self._letters.settle(letter.id, outcome)
        return True

    async def _outcome(self, shard: Replayer, letter: Letter) -> str:
        if letter.kind.startswith(SERVICE):
            await shard.resubmit(letter.kind, letter.key, letter.message, ASK_S)
            return "given to the service again"
        codec = self._codecs.get(letter.kind)
        if codec is None:
            return f"unreadable: nobody is a {letter.kind!r} in this release"
        shard.unpark(letter.kind, letter.key)
        try:
            message = codec.message(letter.message)
            answer = await shard.ask(letter.kind, letter.key, message, ASK_S)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return f"unreadable: {error}"
        except ActorFailed as error:
            return f"failed again: {error}"
        return f"refused: {answer.code}" if isinstance(answer, Refused) else "accepted"
