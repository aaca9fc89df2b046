"""What the clients were told, as they were told it: the one side of the comparison.

An answer counts once it has reached the client; what was asked and never answered proves nothing.
"""

from dataclasses import dataclass, field

from msgspec import Struct

from dispatch.ids import ShardId


class Told(Struct, frozen=True):
    """A client asked an actor this, and was answered that it is done."""

    shard: ShardId
    kind: str
    key: str
    message: Struct


class Heard(Struct, frozen=True):
    """A message of a person's feed, and its number."""

    number: int
    message: bytes


@dataclass(slots=True)
class Record:
    """Everything that the clients were told."""

    told: list[Told] = field(default_factory=list[Told])
    refused: int = 0
    asked: int = 0
    heard: dict[str, list[Heard]] = field(default_factory=dict[str, list[Heard]])
    ask_ms: list[float] = field(default_factory=list[float])

    def hear(self, person: str, heard: Heard) -> None:
        """Note what a person's device showed."""
        self.heard.setdefault(person, []).append(heard)
