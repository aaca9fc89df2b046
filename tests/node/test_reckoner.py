"""A reckoner learns from what customers are told, and has those warned whose order will be late."""

from collections.abc import Iterator

import pytest
from msgspec import Struct, structs

from actors.failures import ActorGone
from dispatch import order
from dispatch.arrival import hour_of
from dispatch.delivery import ArriveAtDropOff, ArriveAtPickup, HandToCustomer, PickUp
from dispatch.ids import Instant, OrderId, after
from dispatch.order import Accept, Expect, MarkReady, Message, Order
from dispatch.step import Refused, Tell
from geo.eta import Part, Phase, Told
from geo.travel import StraightLine
from node.reckoner import FOLLOWED_MAX, REMEMBERED_OF, Journey, Reckoner
from tests.dispatch.builders import CUSTOMER, NOW, ORDER, POLICY, a_place, later, said, sure

TRAVEL = StraightLine(speed_mps=5.0)
PROMISED = later(2_400)


class Market:
    """A market of one order: its machine, its customer's feed, and the reckoner who hears it."""

    def __init__(self, promised_at: Instant | None = PROMISED) -> None:
        self.now = NOW
        self.order: Order | None = None
        self.is_gone = False
        self.expected: list[Expect] = []
        self.told: list[Told] = []
        self.reckoner = Reckoner(
            clock=lambda: self.now,
            policy=POLICY,
            travel=TRAVEL,
            watch=lambda _, told: self.told.append(told),
        )
        self.reckoner.attend(self)
        self._promised_at = promised_at

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        self._check()
        held = {"order": self.order}.get(kind)
        return iter([(ORDER, held)] if held else [])

    def find_state(self, kind: str, key: str) -> object | None:
        self._check()
        return self.order if (kind, key) == ("order", ORDER) else None

    def tell(self, kind: str, key: str, message: Struct) -> Refused | None:
        assert (kind, key) == ("order", ORDER)
        assert isinstance(message, Expect)
        self.expected.append(message)
        self._step(message)
        return None

    def place(self) -> None:
        self._step(structs.replace(a_place(), promised_at=self._promised_at))

    def after(self, seconds: float, *messages: Message) -> None:
        """Have the order hear messages so long after placing, as its couriers and kitchen say."""
        self.now = after(NOW, seconds)
        for message in messages:
            self._step(message)

    def deliver(self) -> None:
        """Have the order come all its way."""
        self.place()
        self.after(60, Accept(later(600)))
        self.order = structs.replace(sure(self.order), delivery=_HELD)
        self.after(700, MarkReady())
        self.after(760, said(ArriveAtPickup))
        self.after(800, said(PickUp))
        self.after(1_100, said(ArriveAtDropOff))
        self.after(1_150, said(HandToCustomer))

    def _step(self, message: Message) -> None:
        step = order.step(self.order, message, self.now, POLICY)
        self.order = step.state
        for effect in step.effects:
            if isinstance(effect, Tell) and (effect.kind, effect.key) == ("feed", CUSTOMER):
                self.reckoner.hear(effect.message)
                self.reckoner.hear(effect.message)

    def _check(self) -> None:
        if self.is_gone:
            raise ActorGone("the shard is being recovered")


def _held() -> order.Order:
    from tests.dispatch.builders import an_assigned_order  # noqa: PLC0415 - to be read beside it.

    return an_assigned_order()


_HELD = _held().delivery


def test_an_order_that_comes_its_way_teaches_each_part_of_it_once() -> None:
    market = Market()

    market.deliver()

    parts = market.reckoner.eta.parts
    assert {part: len(known.everybody.latest) for part, known in parts.items()} == dict.fromkeys(
        Part, 1
    )
    assert parts[Part.WORD].everybody.latest == (100.0,)
    assert parts[Part.DOOR].everybody.latest == (50.0,)


def test_the_first_estimate_of_each_phase_is_judged_at_the_door() -> None:
    market = Market()

    market.deliver()

    assert [told.phase for told in market.told] == list(Phase)
    assert {told.happened_s for told in market.told} == {after(NOW, 1_150) / 1_000}
    scores = market.reckoner.statistics().scores
    assert all(sum(score.told for score in scores[phase]) == 1 for phase in Phase)


def test_an_estimate_counts_in_the_hour_it_was_told_in() -> None:
    market = Market()
    market.now = NOW
    market.place()

    market.after(7_200, Accept(later(7_800)))
    market.order = structs.replace(sure(market.order), delivery=_HELD)
    market.after(7_300, said(ArriveAtPickup))
    market.after(7_400, said(PickUp))
    market.after(7_500, said(ArriveAtDropOff))
    market.after(7_600, said(HandToCustomer))

    scores = market.reckoner.statistics().scores
    assert scores[Phase.PLACED][hour_of(NOW)].told == 1
    assert scores[Phase.COOKING][hour_of(NOW) + 2].told == 1


def test_of_a_crowd_every_other_order_is_remembered() -> None:
    market = Market()
    market.place()
    journeys = market.reckoner._journeys  # noqa: SLF001 - hundreds of orders are slow.  # pyright: ignore[reportPrivateUsage]
    known = journeys.pop(ORDER)
    journeys.update({OrderId(f"ord_x{one}"): known for one in range(REMEMBERED_OF)})

    remembered: list[bool] = []
    for _ in range(4):
        market.order = None
        market.place()
        remembered.append(journeys.pop(ORDER).is_remembered)

    assert known.is_remembered
    assert remembered == [True, False, True, False]


def test_what_has_ended_is_not_followed_any_more() -> None:
    market = Market()

    market.deliver()

    assert market.reckoner.followed() == ()


def test_an_order_expected_after_its_promise_is_told_so_once() -> None:
    market = Market()
    market.place()
    market.after(60, Accept(later(7_200)))

    for _ in range(5):
        market.reckoner.look(ORDER)

    assert len(market.expected) == 1
    assert market.expected[0].at > PROMISED
    assert sure(market.order).warned_for == market.expected[0].at


def test_an_order_that_nobody_hears_of_any_more_is_late_in_the_end() -> None:
    market = Market()
    market.place()

    for seconds in range(0, 5_400, 60):
        market.after(seconds)
        market.reckoner.look(ORDER)

    assert market.expected
    assert sure(market.order).warned_for is not None


def test_an_order_that_is_in_time_is_left_alone() -> None:
    market = Market(promised_at=later(7_200))
    market.place()
    market.after(60, Accept(later(600)))

    market.reckoner.look(ORDER)

    assert market.expected == []


def test_an_order_without_a_promise_is_never_late() -> None:
    market = Market(promised_at=None)
    market.place()
    market.after(86_400)

    market.reckoner.look(ORDER)

    assert market.expected == []


def test_whoever_takes_over_goes_on_from_the_states() -> None:
    market = Market()
    market.place()
    market.after(60, Accept(later(600)))
    successor = Reckoner(clock=lambda: market.now, policy=POLICY, travel=TRAVEL)

    successor.attend(market)

    assert successor.followed() == (ORDER,)


def test_a_shard_that_is_being_recovered_does_no_harm() -> None:
    market = Market()
    market.place()
    market.is_gone = True

    market.reckoner.count()
    market.reckoner.look(ORDER)
    market.reckoner.hear(
        order.OrderPlaced(
            order_id=OrderId("ord_2"),
            customer_id=CUSTOMER,
            restaurant_id=sure(market.order).restaurant_id,
            wanted_at=None,
            at=NOW,
        )
    )

    assert market.reckoner.followed() == (ORDER,)


def test_the_load_counts_what_is_to_be_fetched_for_each_courier_at_work() -> None:
    market = Market()
    market.place()

    market.reckoner.count()

    assert market.reckoner.eta.load == pytest.approx(2.0)


def test_only_so_many_orders_are_followed() -> None:
    market = Market()
    market.place()
    (known,) = market.reckoner._journeys.values()  # noqa: SLF001 - twenty thousand orders are slow.  # pyright: ignore[reportPrivateUsage]
    crowd = {OrderId(f"ord_x{one}"): Journey(known.progress) for one in range(FOLLOWED_MAX)}
    crowded = Reckoner(clock=lambda: NOW, policy=POLICY, travel=TRAVEL, _journeys=crowd)

    crowded.attend(market)

    assert len(crowded.followed()) == FOLLOWED_MAX
