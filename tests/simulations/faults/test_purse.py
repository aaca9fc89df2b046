"""Purses: what is asked with an id counts once, what is received counts each time."""

from dispatch.ids import Instant, ShardId
from dispatch.step import Accepted, Code, Record, Refused, Reply, Tell, TellAcross
from simulations.faults.purse import Mint, Minted, Pay, Purse, Receive, step

NOW = Instant(0)
OTHER = ShardId(2)


def test_tokens_are_minted_once_for_each_id() -> None:
    first = step(None, Mint("m", 5), NOW)
    again = step(first.state, Mint("m", 5), NOW)

    assert first.state == Purse(tokens=5, done=("m",))
    assert first.effects == (Record(Minted("m", 5)), Reply(Accepted()))
    assert again.state == first.state
    assert again.effects == (Reply(Accepted()),)


def test_a_payment_leaves_the_purse_once_and_is_told_to_the_other_shard() -> None:
    purse = Purse(tokens=5)

    paid = step(purse, Pay("p", OTHER, "theirs", 3), NOW)
    again = step(paid.state, Pay("p", OTHER, "theirs", 3), NOW)

    assert paid.state == Purse(tokens=2, done=("p",))
    assert paid.effects == (TellAcross("purse", "theirs", Receive(3), OTHER), Reply(Accepted()))
    assert (again.state, again.effects) == (paid.state, (Reply(Accepted()),))


def test_a_payment_within_the_shard_is_told_by_name() -> None:
    paid = step(Purse(tokens=5), Pay("p", None, "mine", 5), NOW)

    assert paid.effects == (Tell("purse", "mine", Receive(5)), Reply(Accepted()))


def test_nobody_pays_more_than_he_has() -> None:
    purse = Purse(tokens=1)

    refused = step(purse, Pay("p", OTHER, "theirs", 2), NOW)

    assert refused.state == purse
    assert isinstance(reply := refused.effects[0], Reply)
    assert isinstance(reply.answer, Refused)
    assert reply.answer.code is Code.INVALID


def test_what_is_received_is_believed_each_time() -> None:
    once = step(None, Receive(3), NOW).state

    assert step(once, Receive(3), NOW).state == Purse(tokens=6)
