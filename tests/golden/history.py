"""A golden history: everything that was said to the machines of one version, and what came of it.

It is written once, by the version that it is named for (`python -m tests.golden.history FILE`), and
never again: later versions read it, replay it with their own machines and come to the same states.
What a version changes on purpose it tells here, by a history of its own beside the older ones.
"""

import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from actors.codec import Codec, encode
from dispatch import courier
from dispatch.courier import Courier, Stage
from dispatch.ids import Instant, ShardId
from dispatch.policy import Policy
from dispatch.step import Record, Wake
from node.hosting import kinds
from tests.dispatch.agreement import Address, State
from tests.dispatch.builders import MARKET, SQUARE
from tests.dispatch.world import EDGE, STEPS, Move, World

FOLDER = Path(__file__).parent
CODECS = {kind.name: Codec(kind) for kind in kinds(Policy())}
USUAL = (
    *6 * (Move.DELIVER,),
    *4 * (Move.SETTLE, Move.WORK, Move.WAKE, Move.SOLVE, Move.WAIT, Move.ANSWER, Move.COOK),
    *4 * (Move.PLACE,),
    *(Move.REPEAT, Move.SHIRK, Move.MEDDLE),
)


class Said(Struct, frozen=True, array_like=True):
    """One message to one actor, and the facts that it left in the journal."""

    at: Instant
    kind: str
    key: str
    message: bytes
    facts: tuple[bytes, ...]


class History(Struct, frozen=True, kw_only=True):
    """What was said, in its order, under one policy, and how everybody stood in the end."""

    policy: Policy
    said: tuple[Said, ...]
    states: Mapping[str, Mapping[str, bytes]]


class Recording(World):
    """A world that writes down what everybody hears."""

    def __init__(self, policy: Policy) -> None:
        self.said: list[Said] = []
        super().__init__(policy)

    def hear(self, source: Address, target: Address, message: Struct) -> None:
        """Note what is said, and what the machine makes of it."""
        kind, key = target
        _, effects = STEPS[kind](self.states.get(target), message, self.now, self.policy)
        facts = tuple(encode(effect.fact) for effect in effects if isinstance(effect, Record))
        self.said.append(Said(self.now, kind, key, encode(message), facts))
        super().hear(source, target, message)


def recorded(seed: int, policy: Policy, moves: int) -> History:
    """Return the history of a world that chance leads, to its end."""
    chance = Random(seed)
    world = Recording(policy)
    world.play([(chance.choice(USUAL), chance.randrange(48)) for _ in range(moves)])
    _cross(world)
    world.end(frozenset(one.courier_id for one in world.all(Courier)))
    states: dict[str, dict[str, bytes]] = {}
    for (kind, key), state in world.states.items():
        states.setdefault(kind, {})[key] = encode(state)
    return History(policy=policy, said=tuple(world.said), states=states)


def _cross(world: Recording) -> None:
    """Have whoever is free leave for another shard and come back."""
    world.settle()
    for one in [one for one in world.all(Courier) if one.stage is Stage.ON and not one.route]:
        address = ("courier", one.courier_id)
        world.hear(EDGE, address, courier.Cross(ShardId(2), MARKET, SQUARE))
        back = courier.Settle(
            courier_id=one.courier_id,
            market_id=MARKET,
            point=SQUARE,
            ends_at=one.ends_at,
            load_max=one.load_max,
            version=one.version + 3,
            crossings=2,
        )
        world.hear(EDGE, address, back)


def replayed(history: History) -> tuple[Mapping[Address, State], list[tuple[Struct, ...]]]:
    """Return the states to which this version's machines come, and the facts of each message."""
    states: dict[Address, State] = {}
    facts: list[tuple[Struct, ...]] = []
    for said in history.said:
        address = (said.kind, said.key)
        message = CODECS[said.kind].message(said.message)
        state, effects = STEPS[said.kind](states.get(address), message, said.at, history.policy)
        if state is not None:
            states[address] = state
        facts.append(tuple(effect.fact for effect in effects if isinstance(effect, Record)))
    return states, facts


def messages(history: History) -> Iterator[Struct]:
    """Iterate over what was said."""
    for said in history.said:
        yield CODECS[said.kind].message(said.message)


def read(path: Path) -> tuple[History, ...]:
    """Return the histories of a file."""
    decoder = msgspec.msgpack.Decoder[tuple[History, ...]](tuple[History, ...])
    return decoder.decode(zlib.decompress(path.read_bytes()))


def write(path: Path) -> None:
    """Write the histories of this version."""
    policies = (Policy(declines_max=2, give_up_s=1_200), Policy(offer_s=0, give_up_s=1_200))
    histories = tuple(
        recorded(seed, policy, 220) for seed, policy in enumerate((*policies, *policies))
    )
    assert Wake in {type(message) for one in histories for message in messages(one)}
    path.write_bytes(zlib.compress(msgspec.msgpack.encode(histories), 9))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
