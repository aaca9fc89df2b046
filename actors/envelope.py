"""A message with the strings that hang on it: who asks, and what its handling settles.

Tells inside a shard travel bare, because most have no strings. A message wears an envelope when
somebody waits for the answer, or when a row of an outbox is done with once it has been handled.
"""

import trio
from msgspec import Struct

from dispatch.journal import InboxMark
from dispatch.step import Accepted

ACCEPTED = Accepted()


class Question:
    """One pending ask: answered once, by a value or by the exception to raise."""

    __slots__ = ("_answer", "_event")

    def __init__(self) -> None:
        self._event = trio.Event()
        self._answer: Struct | Exception = ACCEPTED

    def settle(self, answer: Struct | Exception) -> None:
        """Let the asker go. The first answer counts, and an asker who left is no matter."""
        if not self._event.is_set():
            self._answer = answer
            self._event.set()

    async def answer(self) -> Struct:
        """Wait for the answer, and raise it when it is an exception."""
        await self._event.wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Envelope:
    """A message, the ask it came with, the outbox row or inbox mark that it settles.

    `answer` is what the handler replied; without a reply, having been handled is the answer. An
    envelope is kept once a seal has gone over it: it and all mail before it need no further look.
    """

    __slots__ = ("answer", "is_kept", "mark", "message", "question", "sequence")

    def __init__(
        self,
        message: Struct,
        question: Question | None = None,
        *,
        sequence: int | None = None,
        mark: InboxMark | None = None,
        is_kept: bool = False,
    ) -> None:
        self.message = message
        self.question = question
        self.sequence = sequence
        self.mark = mark
        self.is_kept = is_kept
        self.answer: Struct | Exception = ACCEPTED
