"""Holds what the clients were told against what the database has.

Lost is what a client was told and the database does not have; doubled is what should be once and is
there, or was heard, twice. That an order never had two couriers is read from the facts and, apart
from them, from what the couriers themselves were told.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
from msgspec import Struct

from dispatch import courier, offer
from dispatch.courier import Collect, Cross, Deliver, StartShift
from dispatch.delivery import Cancel, DeliveryStatus, Reject
from dispatch.ids import CourierId, OrderId
from dispatch.kitchen import Accept, MarkReady, OrderStatus
from dispatch.offer import Decline, OfferClosed, Take
from dispatch.order import Place
from dispatch.order_state import Fact as OrderFact
from dispatch.order_state import OrderCanceled, OrderMoved, OrderPlaced
from simulations.chaos.record import Record, Told
from simulations.legality import DELIVERY_REACH, ORDER_REACH
from storage.audit import Fact, FeedMessage

EXAMPLES_MAX = 20
CARRYING = frozenset(
    {
        DeliveryStatus.PICKED_UP,
        DeliveryStatus.ENROUTE_TO_DROPOFF,
        DeliveryStatus.ARRIVED_AT_DROPOFF,
        DeliveryStatus.DELIVERED,
    }
)
COOKED = frozenset({OrderStatus.READY_FOR_PICKUP, OrderStatus.HANDED_OVER, OrderStatus.COMPLETED})
ENDED = frozenset({OrderStatus.COMPLETED, OrderStatus.REJECTED, OrderStatus.CANCELED})

_orders = msgspec.msgpack.Decoder[OrderFact](OrderFact)
_offers = msgspec.msgpack.Decoder(OfferClosed)
_couriers = msgspec.msgpack.Decoder[courier.Fact](courier.Fact)


class Verdict(Struct, frozen=True, kw_only=True):
    """What was found, as counts, with examples of each for a person to look at."""

    acknowledged: int
    heard: int
    lost: int
    doubled: int
    two_couriers: int
    invariants_broken: tuple[str, ...]
    examples: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing at all is wrong."""
        return not (self.lost or self.doubled or self.two_couriers or self.invariants_broken)


@dataclass(slots=True)
class History:
    """What the database has, by order and by offer."""

    placed: Counter[str] = field(default_factory=Counter[str])
    moved: dict[str, list[OrderMoved]] = field(
        default_factory=lambda: defaultdict[str, list[OrderMoved]](list)
    )
    canceled: Counter[str] = field(default_factory=Counter[str])
    closed: dict[str, list[OfferClosed]] = field(
        default_factory=lambda: defaultdict[str, list[OfferClosed]](list)
    )
    shifts: Counter[str] = field(default_factory=Counter[str])
    crossings: Counter[str] = field(default_factory=Counter[str])

    def enter(self, fact: Fact) -> None:
        """Take one fact in; they come in the order of their numbers."""
        match fact.kind:
            case "order":
                self._enter_order(fact.key, _orders.decode(fact.fact))
            case "offer":
                self.closed[fact.key].append(_offers.decode(fact.fact))
            case "courier":
                self._enter_courier(fact.key, _couriers.decode(fact.fact))
            case _:
                pass

    def _enter_order(self, key: str, fact: OrderFact) -> None:
        match fact:
            case OrderPlaced():
                self.placed[key] += 1
            case OrderMoved():
                self.moved[key].append(fact)
            case OrderCanceled():
                self.canceled[key] += 1
            case _:
                pass

    def _enter_courier(self, key: str, fact: courier.Fact) -> None:
        match fact:
            case courier.ShiftStarted():
                self.shifts[key] += 1
            case courier.CourierCrossed(shard=shard) if shard is not None:
                self.crossings[key] += 1
            case _:
                pass


class Court:
    """Gathers what is wrong."""

    def __init__(
        self, record: Record, history: History, feeds: Mapping[str, list[FeedMessage]]
    ) -> None:
        self._record, self._history, self._feeds = record, history, feeds
        self._lost: list[str] = []
        self._doubled: list[str] = []
        self._two_couriers: list[str] = []
        self._broken: list[str] = []

    def verdict(self) -> Verdict:
        """Look at everything."""
        for told in self._record.told:
            if not self._is_kept(told):
                self._lost.append(f"{told.kind} {told.key} was told {told.message} is done")
        heard = sum(1 for _ in self._judge_feeds())
        self._judge_counts()
        self._judge_couriers()
        self._judge_statuses()
        found = (*self._lost, *self._doubled, *self._two_couriers)
        return Verdict(
            acknowledged=len(self._record.told),
            heard=heard,
            lost=len(self._lost),
            doubled=len(self._doubled),
            two_couriers=len(self._two_couriers),
            invariants_broken=tuple(self._broken[:EXAMPLES_MAX]),
            examples=found[:EXAMPLES_MAX],
        )

    def _is_kept(self, told: Told) -> bool:  # noqa: C901 - one case for each thing to be told.
        """Tell whether what a client was told is done can be seen in the facts."""
        history, key = self._history, told.key
        moved = history.moved[key]
        match told.message:
            case Place():
                return history.placed[key] > 0
            case Accept():
                return any(one.status is OrderStatus.ACCEPTED for one in moved)
            case MarkReady():
                return any(one.status in COOKED for one in moved)
            case Reject():
                return any(one.status is OrderStatus.REJECTED for one in moved)
            case Cancel():
                return any(one.status is OrderStatus.CANCELED for one in moved)
            case Take(courier_id):
                return any(
                    one.stage is offer.Stage.TAKEN and one.courier_id == courier_id
                    for one in history.closed[key]
                )
            case Decline():
                return any(one.stage is offer.Stage.DECLINED for one in history.closed[key])
            case Collect(order_ids):
                return all(self._collected_by(order_id, key) for order_id in order_ids)
            case Deliver(order_id):
                return self._delivered_by(order_id, key)
            case StartShift():
                return history.shifts[key] > 0
            case Cross():
                return history.crossings[key] > 0
            case _:
                return True

    def _collected_by(self, order_id: OrderId, courier_id: str) -> bool:
        """Tell whether it was in his bag; one that was called off meanwhile stays called off."""
        return any(
            one.status is OrderStatus.CANCELED
            or (one.delivery_status in CARRYING and one.courier_id == courier_id)
            for one in self._history.moved[order_id]
        )

    def _delivered_by(self, order_id: OrderId, courier_id: str) -> bool:
        return any(
            one.delivery_status is DeliveryStatus.DELIVERED and one.courier_id == courier_id
            for one in self._history.moved[order_id]
        )

    def _judge_feeds(self) -> Iterator[int]:
        """Hold each device's messages against the feed: the same ones, once, in order, no gap."""
        for person, heard in self._record.heard.items():
            kept = {one.number: one.message for one in self._feeds.get(person, ())}
            for at, one in enumerate(heard, start=1):
                yield one.number
                if kept.get(one.number) != one.message:
                    self._lost.append(f"{person} heard message {one.number}, which is not kept")
                if one.number < at:
                    self._doubled.append(f"{person} heard message {one.number} twice")
                elif one.number > at:
                    self._broken.append(f"{person} never heard message {at}")
                    return
        for person, messages in self._feeds.items():
            if [one.number for one in messages] != list(range(1, len(messages) + 1)):
                self._broken.append(f"the feed of {person} is not numbered through")

    def _judge_counts(self) -> None:
        history = self._history
        for order_id, count in history.placed.items():
            if count > 1:
                self._doubled.append(f"{order_id} was placed {count} times")
        for offer_id, closed in history.closed.items():
            if len(closed) > 1:
                self._doubled.append(f"{offer_id} was closed {len(closed)} times")
        for order_id, moved in history.moved.items():
            endings = sum(
                1
                for before, one in zip([None, *moved], moved, strict=False)
                if one.status in ENDED and (before is None or before.status not in ENDED)
            )
            if endings > 1:
                self._doubled.append(f"{order_id} ended {endings} times")

    def _judge_couriers(self) -> None:
        """No order goes from one courier to another without being free, or is in two bags."""
        for order_id, moved in self._history.moved.items():
            carriers = {one.courier_id for one in moved if one.delivery_status in CARRYING}
            if len(carriers - {None}) > 1:
                self._two_couriers.append(f"{order_id} was carried by {sorted(map(str, carriers))}")
            last: CourierId | None = None
            for one in moved:
                if last is not None and one.courier_id not in {None, last}:
                    self._two_couriers.append(
                        f"{order_id} went from {last} to {one.courier_id} without being free"
                    )
                last = one.courier_id
        bags: dict[OrderId, str] = {}
        for told in self._record.told:
            match told.message:
                case Collect(order_ids):
                    named = order_ids
                case Deliver(order_id):
                    named = (order_id,)
                case _:
                    continue
            for order_id in named:
                holder = bags.setdefault(order_id, told.key)
                if holder != told.key:
                    self._two_couriers.append(f"{holder} and {told.key} were told of {order_id}")

    def _judge_statuses(self) -> None:
        """Both sides of every order move only along their tables."""
        for order_id, moved in self._history.moved.items():
            for before, one in pairwise(moved):
                if one.status not in ORDER_REACH[before.status]:
                    self._broken.append(f"{order_id} went from {before.status} to {one.status}")
                if one.delivery_status not in DELIVERY_REACH[before.delivery_status]:
                    told = f"{before.delivery_status} to {one.delivery_status}"
                    self._broken.append(f"{order_id} went from {told}")
