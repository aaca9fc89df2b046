"""A kind of actor: the machine that moves it, and the types of what it remembers and is told.

A kind is all that the kernel knows of an order or a courier. Its functions are plain and pure: they
never await, and what they return is the only thing that happens.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dispatch.ids import Instant
from dispatch.step import Step


def never_finishes(_state: object) -> bool:
    """Return False: the answer of a kind whose actors have no end."""
    return False


def always(_state: object) -> bool:
    """Return True: the answer of a kind whose actors may leave memory whenever they are idle."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind[S, M]:
    """How the actors of one kind behave, and how much of their mail may wait.

    `state_type` and `message_type` are what msgspec decodes; a union of messages is tagged. The
    state of a kind that is not durable lives in memory only: it is never written, never leaves
    memory for being idle, and is gone after a crash together with the mail that waited for it.
    An actor that `may_rest` says no to stays in memory however long nobody visits it, because
    others look for it there; a round finds its couriers among the states of the shard. Beyond
    `inbox_max` waiting messages the edge is refused; beyond `inside_max` the shard fails.
    """

    name: str
    step: Callable[[S | None, M, Instant], Step[S | None]]
    state_type: type[S]
    message_type: object
    wakes_at: Callable[[S], Instant | None] | None = None
    is_finished: Callable[[S], bool] = never_finishes
    may_rest: Callable[[S], bool] = always
    is_durable: bool = True
    inbox_max: int = 1_024
    inside_max: int = 16_384

    is_watched: bool = field(init=False)
    """Whether the end of a visit has to be looked at, for a deadline or for the actor's end."""

    def __post_init__(self) -> None:
        is_watched = self.wakes_at is not None or self.is_finished is not never_finishes
        object.__setattr__(self, "is_watched", is_watched)


type AnyKind = Kind[Any, Any]
"""A kind whose types the kernel does not know: a state is only ever given to its own kind."""
