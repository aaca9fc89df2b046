"""Histories of every version so far are read by this one, and come to the same states.

A state may know more now than the version knew that wrote it; what that one knew must be the same.
"""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from actors.codec import encode
from dispatch import courier, offer, order, restaurant
from dispatch import round as rounds
from dispatch.policy import Policy
from tests.golden.history import FOLDER, History, messages, read, recorded, replayed

type Plain = dict[str, Plain] | list[Plain] | str | bytes | float | None

FACTS: dict[str, object] = {
    "order": order.Fact,
    "courier": courier.Fact,
    "offer": offer.Fact,
    "restaurant": restaurant.Fact,
    "round": rounds.Fact,
}
FILES = sorted(FOLDER.glob("*.history"))
TOLD_SINCE: dict[str, tuple[type[Struct], ...]] = {"0001": (order.OrderCanceled,), "0002": ()}
"""What later versions tell besides: also of food that reached nobody, what its customer owes."""
KINDS_SPOKEN_MIN = 40

plain = msgspec.msgpack.Decoder[Plain]()

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def decoded(kind: str, fact: bytes) -> Struct:
    decoder = msgspec.msgpack.Decoder[Struct](FACTS[kind])
    return decoder.decode(fact)


def as_far_as(older: Plain, newer: Plain) -> Plain:
    """Return of `newer` what `older` has a word for."""
    match older, newer:
        case dict(), dict():
            return {key: as_far_as(older[key], newer[key]) for key in older if key in newer}
        case list(), list() if len(older) == len(newer):
            return [as_far_as(*pair) for pair in zip(older, newer, strict=True)]
        case _:
            return newer


def test_there_is_a_history_of_the_first_version_that_kept_anything() -> None:
    assert [path.stem for path in FILES][:1] == ["0001"]


@each_file
def test_a_history_replays_to_the_same_states(path: Path) -> None:
    for history in read(path):
        states, _ = replayed(history)

        kept = {
            (kind, key): plain.decode(state)
            for kind, by_key in history.states.items()
            for key, state in by_key.items()
        }
        assert states.keys() == kept.keys()
        for address, state in kept.items():
            again = plain.decode(encode(states[address]))
            assert as_far_as(state, again) == state


@each_file
def test_a_history_replays_to_the_same_facts(path: Path) -> None:
    for history in read(path):
        _, facts = replayed(history)

        kept = [tuple(decoded(said.kind, fact) for fact in said.facts) for said in history.said]
        known = [tuple(one for one in now if one in kept[at]) for at, now in enumerate(facts)]
        since = [one for at, now in enumerate(facts) for one in now if one not in kept[at]]
        assert known == kept
        assert all(isinstance(one, TOLD_SINCE[path.stem]) for one in since), since


@each_file
def test_a_history_says_nearly_everything_that_can_be_said(path: Path) -> None:
    spoken = {type(message) for history in read(path) for message in messages(history)}

    assert len(spoken) >= KINDS_SPOKEN_MIN


def test_a_history_that_was_written_otherwise_is_noticed() -> None:
    history = recorded(9, Policy(give_up_s=1_200), 60)
    without = History(policy=history.policy, said=history.said[:-3], states=history.states)

    whole, _ = replayed(history)
    short, _ = replayed(without)

    assert whole != short
