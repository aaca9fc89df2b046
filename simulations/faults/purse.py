"""Purses: the simulation's own kind of actor, which hands tokens from shard to shard.

An order forgives a message that is lost or comes twice: it asks again, or finds its work done. A
purse does not. `Receive` carries no id and is believed each time, so whatever the machinery loses
or doubles between two actors shows for ever in the sum of all tokens, as money would.
"""

from msgspec import Struct, structs

from actors.kind import Kind
from dispatch.ids import Instant, ShardId
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, TellAcross, refuse

DONE_MAX = 256


class Purse(Struct, frozen=True, kw_only=True):
    """So many tokens, and the last DONE_MAX things its owner had done, by their ids."""

    tokens: int = 0
    done: tuple[str, ...] = ()


class Mint(Struct, frozen=True, tag="purse.mint"):
    """Make tokens out of nothing, once for each id."""

    id: str
    tokens: int


class Pay(Struct, frozen=True, tag="purse.pay"):
    """Hand tokens to another purse, here or in another shard, once for each id."""

    id: str
    shard: ShardId | None
    to: str
    tokens: int


class Receive(Struct, frozen=True, tag="purse.receive"):
    """Here are tokens; no id, on purpose."""

    tokens: int


class Minted(Struct, frozen=True, tag="minted"):
    """A fact: there are more tokens in the world."""

    id: str
    tokens: int


type Message = Mint | Pay | Receive


def step(before: Purse | None, message: Message, now: Instant) -> Step[Purse | None]:
    """Return what the message does to the purse."""
    del now
    purse = before or Purse()
    match message:
        case Receive(tokens):
            return Step(structs.replace(purse, tokens=purse.tokens + tokens))
        case Mint(id=id_) | Pay(id=id_) if id_ in purse.done:
            return Step(before, (Reply(Accepted()),))
        case Mint(id_, tokens):
            minted = _moved(purse, id_, tokens)
            return Step(minted, (Record(Minted(id_, tokens)), Reply(Accepted())))
        case Pay() if message.tokens <= purse.tokens:
            paid = _moved(purse, message.id, -message.tokens)
            return Step(paid, (_handed(message), Reply(Accepted())))
        case Pay():
            return refuse(before, Code.INVALID, "there are not so many tokens in this purse")


def _moved(purse: Purse, id_: str, tokens: int) -> Purse:
    done = (*purse.done, id_)[-DONE_MAX:]
    return structs.replace(purse, tokens=purse.tokens + tokens, done=done)


def _handed(pay: Pay) -> Tell:
    receive = Receive(pay.tokens)
    if pay.shard is None:
        return Tell("purse", pay.to, receive)
    return TellAcross("purse", pay.to, receive, pay.shard)


PURSE: Kind[Purse, Message] = Kind(name="purse", step=step, state_type=Purse, message_type=Message)
