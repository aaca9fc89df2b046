"""The invariants: each notices the one thing that it forbids, and nothing in a sound history."""

from collections.abc import Iterable

import pytest
from msgspec import Struct, structs

from actors.codec import encode
from dispatch import offer
from dispatch.courier import Courier, Stage
from dispatch.ids import CourierId, ShardId
from dispatch.journal import (
    Batch,
    Checkpoint,
    Committed,
    DeadLetter,
    FactRow,
    FeedRow,
    InboxMark,
    LeaseLost,
    OutboxRow,
    Recovered,
)
from dispatch.kitchen import OrderStatus
from dispatch.lease import NodeId
from dispatch.offer import Take
from dispatch.order_state import OrderMoved
from dispatch.step import Accepted, Code, Refused
from simulations.faults.chronicle import Said
from simulations.faults.purse import Minted, Purse, Receive
from simulations.faults.witness import Witness
from tests.dispatch.builders import (
    COURIER,
    NOW,
    OFFER,
    ORDER,
    OTHER_COURIER,
    OTHER_OFFER,
    a_courier,
    a_task,
    an_offer,
    an_order,
    busy,
    loaded,
)

A, B = NodeId("a"), NodeId("b")
HERE, THERE = ShardId(1), ShardId(2)


class Scene:
    """A witness who is shown batches of two shards, each opened once."""

    def __init__(self) -> None:
        self.witness = Witness()
        self.numbers = {HERE: 0, THERE: 0}
        for shard in self.numbers:
            self.witness.opened(A, shard, Recovered(epoch=1, number=0))

    @property
    def broken(self) -> str | None:
        """The sentence that is broken."""
        return self.witness.broken.invariant if self.witness.broken else None

    def commit(
        self,
        states: Iterable[tuple[str, str, Struct]] = (),
        *,
        shard: ShardId = HERE,
        epoch: int = 1,
        facts: tuple[FactRow, ...] = (),
        outbox: tuple[OutboxRow, ...] = (),
        handled: tuple[int, ...] = (),
        marks: tuple[InboxMark, ...] = (),
        feed: tuple[FeedRow, ...] = (),
        dead_letters: tuple[DeadLetter, ...] = (),
        feed_numbers: tuple[int, ...] = (),
    ) -> None:
        """Show the witness a batch."""
        self.numbers[shard] += 1
        batch = Batch(
            shard=shard,
            epoch=epoch,
            number=self.numbers[shard],
            at=NOW,
            checkpoints=tuple(Checkpoint(kind, key, encode(state)) for kind, key, state in states),
            facts=facts,
            outbox=outbox,
            handled=handled,
            marks=marks,
            feed=feed,
            dead_letters=dead_letters,
        )
        self.witness.applied(A, batch, Committed(feed_numbers))


def moved(status: OrderStatus, courier_id: CourierId | None = None) -> FactRow:
    """Return the fact that the order is in a status now."""
    fact = OrderMoved(
        order_id=ORDER,
        status=status,
        delivery_status=an_order().delivery.status,
        courier_id=courier_id,
        ready_at=None,
        reason="",
        at=NOW,
    )
    return FactRow("order", ORDER, encode(fact))


def courier(state: Courier, key: CourierId = COURIER) -> tuple[str, str, Struct]:
    """Return a courier as a batch names him."""
    return ("courier", key, structs.replace(state, courier_id=key))


def purse(tokens: int) -> tuple[str, str, Struct]:
    return ("purse", "prs", Purse(tokens=tokens))


def minted(tokens: int) -> FactRow:
    return FactRow("purse", "prs", encode(Minted("m", tokens)))


async def test_a_sound_history_breaks_nothing() -> None:
    scene = Scene()
    receive = OutboxRow(9, "purse", "prs", encode(Receive(2)), THERE)

    scene.commit([("order", ORDER, an_order()), courier(loaded(a_task(offer_id=OFFER)))])
    scene.commit([purse(5)], facts=(minted(5),))
    scene.commit([purse(3)], outbox=(receive,))
    scene.commit([purse(2)], shard=THERE, marks=(InboxMark(HERE, 9),))
    scene.commit(handled=(9,))
    scene.commit(feed=(FeedRow("p", b"x"), FeedRow("p", b"y")), feed_numbers=(1, 2))
    scene.witness.heard("p", 0, 1, b"x")
    scene.witness.heard("p", 1, 2, b"y")

    assert scene.broken is None
    assert scene.witness.steps > 50


async def test_one_bag_for_an_order() -> None:
    scene = Scene()
    mine = loaded(a_task(offer_id=OFFER))

    scene.commit([courier(mine)])
    scene.commit([courier(mine, OTHER_COURIER)])

    assert scene.broken == (
        "An order has one committed courier at a time, and one who ever carries it"
    )


async def test_an_order_is_free_between_two_couriers() -> None:
    scene = Scene()

    scene.commit(facts=(moved(OrderStatus.ACCEPTED, COURIER),), states=[order_in("accepted")])
    scene.commit(facts=(moved(OrderStatus.ACCEPTED, OTHER_COURIER),), states=[order_in("accepted")])

    assert scene.broken is not None
    assert scene.broken.startswith("An order has one committed courier at a time")


def order_in(status: str) -> tuple[str, str, Struct]:
    """Return the order in some status of the kitchen's side."""
    return ("order", ORDER, structs.replace(an_order(), status=OrderStatus(status)))


async def test_a_courier_is_in_one_shard() -> None:
    scene = Scene()

    scene.commit([courier(a_courier())])
    scene.commit([courier(structs.replace(a_courier(), stage=Stage.GONE))])
    scene.commit([courier(a_courier())], shard=THERE)
    assert scene.broken is None
    scene.commit([courier(a_courier())])

    assert scene.broken == "A courier works in one shard at a time"


async def test_nobody_carries_more_than_he_can() -> None:
    scene = Scene()

    scene.commit([courier(structs.replace(busy(a_task(size=3)), load_max=2))])

    assert (
        scene.broken == "No courier's route ever holds more than he can carry, or cannot be driven"
    )


async def test_an_order_stands_in_one_open_offer() -> None:
    scene = Scene()
    asked = structs.replace(an_offer(), stage=offer.Stage.OPEN)
    rival = structs.replace(asked, offer_id=OTHER_OFFER)

    scene.commit([("order", ORDER, an_order()), ("offer", OFFER, asked)])
    scene.commit([("offer", OTHER_OFFER, rival)])

    assert scene.broken == "An order stands in one open offer at a time"


async def test_an_order_never_goes_back() -> None:
    scene = Scene()

    scene.commit([order_in("ready_for_pickup")])
    scene.commit([order_in("accepted")])

    assert scene.broken == "An order moves only along its LEGAL tables, and never out of an end"


async def test_an_order_stays_at_its_end() -> None:
    scene = Scene()

    scene.commit([order_in("canceled")])
    scene.commit([order_in("placed")])

    assert scene.broken == "An order moves only along its LEGAL tables, and never out of an end"


async def test_an_order_agrees_with_its_last_fact() -> None:
    scene = Scene()

    scene.commit([order_in("preparing")], facts=(moved(OrderStatus.ACCEPTED),))

    assert scene.broken == (
        "The journal has the facts of an order in their order, up to where it stands"
    )


async def test_a_batch_of_an_older_epoch_is_noticed() -> None:
    scene = Scene()
    scene.witness.opened(B, HERE, Recovered(epoch=2, number=0))

    scene.commit([order_in("placed")], epoch=1)

    assert scene.broken == "A batch of an owner before the present one changes nothing"


async def test_a_message_between_shards_that_counts_twice_is_noticed() -> None:
    scene = Scene()

    scene.commit(marks=(InboxMark(THERE, 9),))
    scene.commit(marks=(InboxMark(THERE, 9),))

    assert scene.broken == "A message between shards takes effect once"


@pytest.mark.parametrize("tokens", [4, 6])
async def test_tokens_that_vanish_or_come_from_nowhere_are_noticed(tokens: int) -> None:
    scene = Scene()

    scene.commit([purse(tokens)], facts=(minted(5),))

    assert scene.broken == "The tokens in purses and under way are those that were minted"


async def test_a_row_that_is_settled_though_nobody_took_it_is_noticed() -> None:
    scene = Scene()
    receive = OutboxRow(9, "purse", "prs", encode(Receive(2)), THERE)

    scene.commit([purse(3)], facts=(minted(5),), outbox=(receive,))
    assert scene.broken is None
    scene.commit(handled=(9,))

    assert scene.broken == "The tokens in purses and under way are those that were minted"


async def test_a_dead_letter_is_noticed() -> None:
    scene = Scene()

    scene.commit(dead_letters=(DeadLetter("order", ORDER, b"x", "KeyError"),))

    assert scene.broken == (
        "Whatever breaks, no actor's step raises, and no message ends as a dead letter"
    )


async def test_a_gap_in_a_feed_is_noticed() -> None:
    scene = Scene()

    scene.commit(feed=(FeedRow("p", b"x"),), feed_numbers=(2,))

    assert scene.broken == "A person's feed messages are numbered one after the other"


@pytest.mark.parametrize(
    ("cursor", "number", "message", "claim"),
    [
        (0, 2, b"y", "A device that resumes hears every message once, in order"),
        (1, 1, b"x", "A device that resumes hears every message once, in order"),
        (1, 2, b"z", "A device hears under each number what the journal has under it"),
        (2, 3, b"z", "A device hears under each number what the journal has under it"),
    ],
)
async def test_a_device_that_hears_otherwise_is_noticed(
    cursor: int, number: int, message: bytes, claim: str
) -> None:
    scene = Scene()
    scene.commit(feed=(FeedRow("p", b"x"), FeedRow("p", b"y")), feed_numbers=(1, 2))

    scene.witness.heard("p", cursor, number, message)

    assert scene.broken == claim


async def test_accepted_before_the_commit_is_noticed() -> None:
    scene = Scene()
    scene.commit([("offer", OFFER, structs.replace(an_offer(), stage=offer.Stage.OPEN))])
    take = Take(COURIER)

    scene.witness.said(A, said_of(take, Refused(Code.OFFER_LAPSED)))
    assert scene.broken is None
    scene.witness.said(A, said_of(take, Accepted()))

    assert scene.broken == "Nobody is told `Accepted` before what he asked for is committed"


async def test_what_was_once_accepted_and_is_gone_in_the_end_is_noticed() -> None:
    scene = Scene()
    taken = structs.replace(an_offer(), stage=offer.Stage.TAKEN)
    scene.commit([("offer", OFFER, taken)])
    scene.witness.said(A, said_of(Take(COURIER), Accepted()))

    scene.witness.look_back()
    assert scene.broken is None
    scene.commit([("offer", OFFER, structs.replace(taken, stage=offer.Stage.LAPSED))])
    scene.witness.look_back()

    assert scene.broken == "Nobody is told `Accepted` before what he asked for is committed"


def said_of(take: Take, answer: Struct) -> Said:
    return Said(shard=HERE, kind="offer", key=OFFER, message=take, answer=answer)


async def test_a_recovery_that_misses_a_state_or_a_row_is_noticed() -> None:
    claim = "A new owner starts from every state and every row that was committed"
    state = an_order()
    whole = Checkpoint("order", ORDER, encode(state))
    row = OutboxRow(9, "restaurant", "rst", b"x", THERE)
    for checkpoints, rows, is_sound in (
        ((whole,), (row,), True),
        ((), (row,), False),
        ((whole,), (), False),
        ((structs.replace(whole, state=b"old"),), (row,), False),
    ):
        scene = Scene()
        scene.commit([("order", ORDER, state)], outbox=(row,))

        recovered = Recovered(epoch=2, number=1, checkpoints=checkpoints, outbox=rows)
        scene.witness.opened(B, HERE, recovered)

        assert scene.broken == (None if is_sound else claim)


class Right:
    """A tenancy that a test ends."""

    is_over = False

    def check(self) -> None:
        if self.is_over:
            raise LeaseLost("the test said so")


async def test_two_unfenced_tenancies_of_a_shard_are_noticed() -> None:
    scene = Scene()
    first, second, third = Right(), Right(), Right()

    scene.witness.hosted(A, first, HERE)
    first.is_over = True
    scene.witness.hosted(B, second, HERE)
    assert scene.broken is None
    scene.witness.hosted(A, third, HERE)

    assert scene.broken == "No two nodes have an unfenced tenancy of a shard"


async def test_the_dead_hold_nothing() -> None:
    scene = Scene()

    scene.witness.hosted(A, Right(), HERE)
    scene.witness.excused(A)
    scene.witness.hosted(B, Right(), HERE)

    assert scene.broken is None


async def test_the_first_thing_that_breaks_is_the_one_that_is_told() -> None:
    scene = Scene()

    scene.commit([purse(1)])
    scene.commit(marks=(InboxMark(THERE, 9), InboxMark(THERE, 9)))

    assert scene.broken == "The tokens in purses and under way are those that were minted"
    assert scene.witness.is_over.is_set()
    assert any("BROKEN" in line for line in scene.witness.trace)
