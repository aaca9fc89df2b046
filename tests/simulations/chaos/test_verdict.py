"""The comparison finds each thing that can go wrong, and nothing where all is well."""

from collections.abc import Sequence

from msgspec import Struct, structs

from actors.codec import encode
from dispatch import offer
from dispatch.courier import Collect, CourierCrossed, Cross, Deliver, ShiftStarted, StartShift
from dispatch.delivery import Cancel, DeliveryStatus, Party, Reject
from dispatch.ids import (
    CourierId,
    CustomerId,
    Instant,
    MarketId,
    OfferId,
    OrderId,
    RestaurantId,
    ShardId,
)
from dispatch.kitchen import Accept, MarkReady, OrderStatus
from dispatch.offer import Decline, OfferClosed, Take
from dispatch.order import Place
from dispatch.order_state import OrderMoved, OrderPlaced
from geo.point import Point
from simulations.chaos.record import Heard, Record, Told
from simulations.chaos.verdict import Court, History, Verdict
from storage.audit import Fact, FeedMessage

NOW = Instant(1_000)
ORDER, OFFER = OrderId("ord"), OfferId("off")
PIA, SAM = CourierId("pia"), CourierId("sam")
HERE = Point(0.0, 0.0)


def placed() -> OrderPlaced:
    return OrderPlaced(
        order_id=ORDER,
        customer_id=CustomerId("ann"),
        restaurant_id=RestaurantId("rst"),
        wanted_at=None,
        at=NOW,
    )


def moved(
    status: OrderStatus, delivery: DeliveryStatus, courier_id: CourierId | None = None
) -> OrderMoved:
    return OrderMoved(
        order_id=ORDER,
        status=status,
        delivery_status=delivery,
        courier_id=courier_id,
        ready_at=None,
        reason="",
        at=NOW,
    )


def closed(stage: offer.Stage = offer.Stage.TAKEN) -> OfferClosed:
    return OfferClosed(offer_id=OFFER, courier_id=PIA, order_ids=(ORDER,), stage=stage, at=NOW)


A_DAY: tuple[Struct, ...] = (
    placed(),
    moved(OrderStatus.ACCEPTED, DeliveryStatus.PENDING),
    moved(OrderStatus.ACCEPTED, DeliveryStatus.ASSIGNED, PIA),
    moved(OrderStatus.READY_FOR_PICKUP, DeliveryStatus.ASSIGNED, PIA),
    moved(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, PIA),
    moved(OrderStatus.COMPLETED, DeliveryStatus.DELIVERED, PIA),
)

PLACE = Place(
    order_id=ORDER,
    market_id=MarketId("m"),
    customer_id=CustomerId("ann"),
    restaurant_id=RestaurantId("rst"),
    pickup=HERE,
    dropoff=HERE,
)
WORDS: tuple[tuple[str, str, Struct], ...] = (
    ("order", ORDER, PLACE),
    ("order", ORDER, Accept()),
    ("order", ORDER, MarkReady()),
    ("offer", OFFER, Take(PIA)),
    ("courier", PIA, Collect((ORDER,))),
    ("courier", PIA, Deliver(ORDER)),
)


def told(*words: tuple[str, str, Struct]) -> Record:
    record = Record()
    record.told = [Told(ShardId(1), *word) for word in words]
    return record


def history(*facts: Struct) -> History:
    entered = History()
    for number, fact in enumerate(facts):
        kind, key = _whose(fact)
        entered.enter(Fact(number, kind, key, encode(fact)))
    return entered


def _whose(fact: Struct) -> tuple[str, str]:
    match fact:
        case OfferClosed():
            return "offer", fact.offer_id
        case ShiftStarted() | CourierCrossed():
            return "courier", fact.courier_id
        case _:
            return "order", ORDER


def feed(*messages: bytes) -> list[FeedMessage]:
    return [FeedMessage("ann", number, one) for number, one in enumerate(messages, start=1)]


def judged(record: Record, entered: History, messages: Sequence[FeedMessage] = ()) -> Verdict:
    return Court(record, entered, {"ann": list(messages)}).verdict()


def test_a_day_on_which_all_is_kept_is_clean() -> None:
    record = told(*WORDS)
    record.heard["ann"] = [Heard(1, b"a"), Heard(2, b"b")]

    verdict = judged(record, history(*A_DAY, closed()), feed(b"a", b"b", b"c"))

    assert verdict.is_clean
    assert (verdict.acknowledged, verdict.heard) == (len(WORDS), 2)


def test_each_thing_that_was_acknowledged_and_is_not_there_is_lost() -> None:
    more: tuple[tuple[str, str, Struct], ...] = (
        ("offer", OFFER, Decline(PIA)),
        ("order", ORDER, Cancel(Party.CUSTOMER)),
        ("order", ORDER, Reject("kitchen-busy")),
        ("courier", PIA, Cross(ShardId(2), MarketId("n"), HERE)),
        (
            "courier",
            PIA,
            StartShift(
                courier_id=PIA, market_id=MarketId("m"), point=HERE, ends_at=NOW, load_max=1
            ),
        ),
    )

    verdicts = [judged(told(word), history()) for word in (*WORDS, *more)]

    assert [verdict.lost for verdict in verdicts] == [1] * len(verdicts)
    assert not any(verdict.is_clean for verdict in verdicts)


def test_a_pickup_by_another_courier_than_was_told_is_lost_for_the_one_who_was() -> None:
    verdict = judged(told(("courier", SAM, Deliver(ORDER))), history(*A_DAY))

    assert verdict.lost == 1


def test_a_message_that_was_heard_and_is_not_kept_or_reads_otherwise_is_lost() -> None:
    record = Record()
    record.heard["ann"] = [Heard(1, b"a"), Heard(2, b"x"), Heard(3, b"c")]

    verdict = judged(record, history(), feed(b"a", b"b"))

    assert verdict.lost == 2


def test_a_message_that_was_heard_twice_is_doubled_and_one_left_out_is_broken() -> None:
    twice, gap = Record(), Record()
    twice.heard["ann"] = [Heard(1, b"a"), Heard(1, b"a"), Heard(2, b"b")]
    gap.heard["ann"] = [Heard(1, b"a"), Heard(3, b"c")]

    verdicts = [judged(record, history(), feed(b"a", b"b", b"c")) for record in (twice, gap)]

    assert verdicts[0].doubled >= 1
    assert verdicts[1].invariants_broken == ("ann never heard message 2",)


def test_a_feed_with_a_hole_is_broken() -> None:
    holed = [FeedMessage("ann", 1, b"a"), FeedMessage("ann", 3, b"c")]

    verdict = judged(Record(), history(), holed)

    assert verdict.invariants_broken == ("the feed of ann is not numbered through",)


def test_what_happens_once_and_is_there_twice_is_doubled() -> None:
    placings = judged(Record(), history(placed(), placed()))
    closings = judged(Record(), history(closed(), closed(offer.Stage.LAPSED)))
    reopened = moved(OrderStatus.ACCEPTED, DeliveryStatus.PENDING)
    endings = judged(Record(), history(*A_DAY, reopened, A_DAY[-1]))

    assert (placings.doubled, closings.doubled, endings.doubled) == (1, 1, 1)


def test_an_order_in_two_bags_has_two_couriers() -> None:
    by_sam = moved(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, SAM)

    in_facts = judged(Record(), history(*A_DAY[:5], by_sam))
    in_answers = judged(
        told(("courier", PIA, Collect((ORDER,))), ("courier", SAM, Collect((ORDER,)))),
        history(*A_DAY),
    )

    assert in_facts.two_couriers == 2
    assert in_answers.two_couriers == 1


def test_an_order_that_goes_to_another_without_being_free_has_two_couriers() -> None:
    to_sam = moved(OrderStatus.ACCEPTED, DeliveryStatus.ASSIGNED, SAM)
    free = moved(OrderStatus.ACCEPTED, DeliveryStatus.PENDING)

    at_once = judged(Record(), history(*A_DAY[:3], to_sam))
    by_way_of_free = judged(Record(), history(*A_DAY[:3], free, to_sam))

    assert (at_once.two_couriers, by_way_of_free.two_couriers) == (1, 0)


def test_a_status_that_no_table_leads_to_is_broken() -> None:
    back = structs.replace(A_DAY[1], status=OrderStatus.PLACED)

    verdict = judged(Record(), history(*A_DAY[:2], back))

    assert verdict.invariants_broken == ("ord went from accepted to placed",)
