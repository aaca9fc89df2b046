"""What a node answers on its link, from real shards of actors."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

import pytest
from msgspec import msgpack
from trio.testing import MockClock

from actors.shard import Shard
from dispatch.ids import MarketId, ShardId
from dispatch.lease import LeaseRow, NodeId, NodeRow, View
from dispatch.step import Accepted, Code, Refused
from node.backend import ShardBackend
from node.feeds import FeedHub
from tests.actors.bank import ACCOUNT, Close, Credit, Deposit, Explode, Transfer
from tests.actors.stage import SHARD, HeldJournal, accounts, running, shard_on
from tests.node.loopback import FeedStore
from wire.link import Ask, Failed, Gone, Late, Owner

HERE = NodeRow(node=NodeId("here"), address="127.0.0.1:7001", version="1")
THERE = NodeRow(node=NodeId("there"), address="127.0.0.1:7002", version="1")
DEAD = NodeRow(node=NodeId("dead"), address="127.0.0.1:7003", version="1", is_alive=False)
MARKET = MarketId("copenhagen")


def a_view(owner: NodeRow | None, *, left_s: float = 3.0) -> View:
    """Return what the keeper saw: three nodes, one of them dead, and the owner of the shard."""
    node = None if owner is None else owner.node
    lease = LeaseRow(shard=SHARD, node=node, left_s=left_s)
    return View((DEAD, HERE, THERE), (lease,))


def backend_of(shard: Shard | None, view: View | None = None) -> ShardBackend:
    """Return a backend that has this shard, or none."""
    return ShardBackend(
        (ACCOUNT,),
        FeedHub(FeedStore()),
        find_shard=lambda number: shard if number == SHARD else None,
        view=lambda: view or a_view(HERE),
        markets=lambda: {MARKET: SHARD},
    )


def an_ask(message: object, *, key: str = "ann", kind: str = "account") -> Ask:
    """Return an ask as a peer sends it."""
    written = message if isinstance(message, bytes) else msgpack.encode(message)
    return Ask(1, SHARD, kind, key, written, 1.0)


async def test_a_message_goes_to_its_actor_and_counts_once(autojump_clock: MockClock) -> None:
    shard = shard_on(HeldJournal())
    async with running(shard):
        backend = backend_of(shard)
        outcomes = [await backend.ask(an_ask(Credit("c1", 5))) for _ in range(2)]

        assert outcomes == [Accepted(), Accepted()]
        assert accounts(shard)["ann"].balance == 5


async def test_a_refusal_comes_back_as_the_actor_gave_it(autojump_clock: MockClock) -> None:
    shard = shard_on(HeldJournal())
    async with running(shard):
        outcome = await backend_of(shard).ask(an_ask(Transfer("t1", "bob", 5)))

    assert outcome == Refused(Code.NOT_FOUND)


@pytest.mark.parametrize(
    "asked",
    [
        an_ask(b"\xc1"),
        an_ask(b""),
        an_ask({"type": "deposit", "amount": "five"}),
        an_ask({"type": "no such message"}),
        an_ask(b"\x81\xa4type\xa2\xff\xff"),
        an_ask(Deposit(1), kind="nobody"),
    ],
)
async def test_a_message_that_cannot_be_read_is_refused_as_invalid(
    asked: Ask, autojump_clock: MockClock
) -> None:
    shard = shard_on(HeldJournal())
    async with running(shard):
        outcome = await backend_of(shard).ask(asked)

        assert isinstance(outcome, Refused)
        assert outcome.code is Code.INVALID
        assert accounts(shard) == {}


async def test_a_step_that_fails_is_told_and_the_next_message_is_handled(
    autojump_clock: MockClock,
) -> None:
    shard = shard_on(HeldJournal())
    async with running(shard):
        backend = backend_of(shard)
        outcome = await backend.ask(an_ask(Explode()))

        assert outcome == Failed("account ann: RuntimeError('told to')")
        assert await backend.ask(an_ask(Close())) == Accepted()


async def test_a_commit_that_takes_too_long_is_late(autojump_clock: MockClock) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)
    async with running(shard):
        journal.hold()
        outcome = await backend_of(shard).ask(an_ask(Credit("c1", 5)))

    assert outcome == Late()


async def test_a_shard_that_is_elsewhere_is_gone_with_its_owners_address() -> None:
    outcome = await backend_of(None, a_view(THERE)).ask(an_ask(Close()))

    assert outcome == Gone(f"shard {SHARD} is not here", THERE.address)


async def test_a_shard_that_is_not_open_is_gone(autojump_clock: MockClock) -> None:
    outcome = await backend_of(shard_on(HeldJournal()), a_view(HERE)).ask(an_ask(Close()))

    assert outcome == Gone(f"shard {SHARD} is not open", HERE.address)


@pytest.mark.parametrize("view", [a_view(None), a_view(DEAD), a_view(THERE, left_s=-1.0), View()])
async def test_nobody_owns_a_shard_whose_lease_is_free_over_or_a_dead_nodes(view: View) -> None:
    outcome = await backend_of(None, view).ask(an_ask(Close()))

    assert outcome == Gone(f"shard {SHARD} is not here", "")


@pytest.mark.parametrize("place", [SHARD, MARKET])
def test_a_node_knows_who_owns_a_shard_or_a_market_and_who_is_alive(
    place: ShardId | MarketId,
) -> None:
    owner = backend_of(None, a_view(THERE)).owner(3, place)

    assert owner == Owner(3, SHARD, THERE.address, (HERE.address, THERE.address))


def test_a_market_nobody_knows_has_no_owner() -> None:
    owner = backend_of(None, a_view(THERE)).owner(3, MarketId("atlantis"))

    assert owner == Owner(3, None, "", (HERE.address, THERE.address))
