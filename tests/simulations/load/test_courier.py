"""A robo-courier without any connection: frames in, frames out, and the time as the test says."""

from itertools import pairwise
from random import Random

import msgspec

from dispatch.delivery import DeliveryStatus
from dispatch.ids import CourierId, DeviceId, Instant, OfferId, OrderId, RestaurantId, after
from dispatch.kitchen import OrderStatus
from dispatch.step import Code
from geo.point import LatLng
from simulations.load.courier import Manners, RoboCourier
from simulations.load.device import Device
from simulations.load.tally import Tally
from simulations.load.way import beyond
from wire import events
from wire.events import AnyEvent
from wire.frames import (
    Act,
    AnyAction,
    Arrive,
    Collect,
    CourierFrame,
    Deliver,
    Done,
    Message,
    Pings,
    ServerFrame,
    StartShift,
    Take,
    Welcome,
)

NOW = Instant(1_800_000_000_000)
HOME = LatLng(55.68, 12.57)
GRILL = RestaurantId("rst_grill")
SOUP = OrderId("ord_soup")
COUNTER = beyond(HOME, 100.0, 0.0)
DOOR = beyond(HOME, 200.0, 0.0)
MANNERS = Manners(
    speed_mps=(10.0, 10.0), thinks_s=(1.0, 1.0), hands_over_s=(2.0, 2.0), declines_share=0.0
)
ROUTE = events.RouteChanged(
    stops=(
        events.Pickup(restaurant_id=GRILL, order_ids=(SOUP,), place=COUNTER),
        events.DropOff(order_id=SOUP, place=DOOR),
    ),
    heading=GRILL,
    place=COUNTER,
    version=1,
)
_read = msgspec.msgpack.Decoder[CourierFrame](CourierFrame).decode


class Street:
    """A courier, and the time; `goes_on` lets some of it pass."""

    def __init__(self, manners: Manners = MANNERS) -> None:
        self.now = NOW
        self.tally = Tally()
        self.device = Device("token", DeviceId("dev_1"))
        self.courier = RoboCourier(self.device, HOME, manners, self.tally, Random(1))
        self.messages = 0

    def connect(self) -> None:
        self.courier.connected(self.now)
        self.hears(
            Welcome(
                session_id="ses_1",
                person=CourierId("crr_1"),
                node="node-1",
                last_message_id=self.device.last_message_id or 0,
                server_at=self.now,
            )
        )

    def hears(self, frame: ServerFrame) -> None:
        self.courier.received(msgspec.msgpack.encode(frame), self.now)

    def learns(self, event: AnyEvent) -> None:
        self.messages += 1
        told = msgspec.Raw(msgspec.msgpack.encode(event))
        self.hears(Message(message_id=self.messages, epoch=1, event=told))

    def says(self) -> list[CourierFrame]:
        return [_read(frame) for frame in self.courier.frames(self.now)]

    def goes_on(self, seconds: float) -> list[tuple[float, AnyAction]]:
        """Return what he does meanwhile and when, each act answered at once."""
        ends_at, done = after(self.now, seconds), list[tuple[float, AnyAction]]()
        while (due_at := min(self.courier.due_at, ends_at)) < ends_at:
            self.now = max(self.now, due_at)
            for frame in self.says():
                if isinstance(frame, Act):
                    done.append(((self.now - NOW) / 1_000, frame.action))
                    self.hears(Done(counter=frame.counter))
        self.now = ends_at
        return done


def on_shift(manners: Manners = MANNERS) -> Street:
    """A courier who has begun his shift."""
    street = Street(manners)
    street.connect()
    ((_, start),) = street.goes_on(0.001)
    assert isinstance(start, StartShift)
    return street


def test_he_goes_to_the_counter_waits_for_the_food_and_brings_it_to_the_door() -> None:
    street = on_shift()

    street.learns(ROUTE)
    arrives = street.goes_on(14.0)
    street.learns(
        events.OrderMoved(
            order_id=SOUP,
            status=OrderStatus.READY_FOR_PICKUP,
            delivery_status=DeliveryStatus.ARRIVED_AT_PICKUP,
            at=street.now,
        )
    )
    collects = street.goes_on(3.0)
    street.learns(events.RouteChanged(stops=ROUTE.stops[1:], version=2))
    delivers = street.goes_on(14.0)

    assert [action for _, action in arrives] == [Arrive(restaurant_id=GRILL)]
    assert 9.0 < arrives[0][0] < 11.5
    assert [action for _, action in collects] == [Collect(order_ids=(SOUP,))]
    assert 15.9 < collects[0][0] < 16.1
    assert [action for _, action in delivers] == [Arrive(order_id=SOUP), Deliver(order_id=SOUP)]
    assert street.tally.counts["delivered"] == 1


def test_his_patience_at_a_counter_ends() -> None:
    street = on_shift()

    street.learns(ROUTE)
    done = street.goes_on(45.0)

    assert [action for _, action in done][:2] == [
        Arrive(restaurant_id=GRILL),
        Collect(order_ids=(SOUP,)),
    ]
    assert done[1][0] - done[0][0] == MANNERS.waits_s


def test_he_takes_an_offer_after_a_thought_and_not_one_that_is_gone() -> None:
    street = on_shift()
    offer = events.OfferMade(offer_id=OfferId("off_1"), tasks=(), expires_at=after(NOW, 60))
    other = events.OfferMade(offer_id=OfferId("off_2"), tasks=(), expires_at=after(NOW, 60))

    street.learns(offer)
    taken = street.goes_on(2.0)
    street.learns(other)
    street.learns(events.OfferGone(offer_id=OfferId("off_2")))
    later = street.goes_on(2.0)

    assert [action for _, action in taken] == [Take(offer_id=OfferId("off_1"))]
    assert later == []


def test_what_is_not_answered_is_sent_again_in_its_order_and_what_is_answered_is_not() -> None:
    street = on_shift()
    street.learns(events.OfferMade(offer_id=OfferId("off_1"), tasks=(), expires_at=NOW))
    street.learns(ROUTE)
    street.now = after(NOW, 1.5)
    (take,) = [frame for frame in street.says() if isinstance(frame, Act)]

    street.now = after(NOW, 30.0)
    street.connect()
    again = [frame for frame in street.says() if isinstance(frame, Act)]
    for act in again:
        street.hears(Done(counter=act.counter))
    street.connect()
    afterwards = [frame for frame in street.says() if isinstance(frame, Act)]

    assert again[0] == take
    assert again[1].action == Arrive(restaurant_id=GRILL)
    assert again[1].at < after(NOW, 12.0), "he arrived while he was cut off"
    assert [act.counter for act in again] == [2, 3]
    assert afterwards == []


def test_pings_leave_on_time_and_tell_every_instant_between() -> None:
    street = on_shift(msgspec.structs.replace(MANNERS, pings_per_s=2.0, frame_pings=4))

    frames: list[Pings] = []
    for _ in range(20):
        street.now = max(street.now, street.courier.due_at)
        frames += [frame for frame in street.says() if isinstance(frame, Pings)]

    seen_at = [ping.seen_at for frame in frames for ping in frame.pings]
    assert len(frames) > 5
    assert {later - earlier for earlier, later in pairwise(seen_at)} == {500}
    assert all(frame.pings[-1].seen_at <= street.now for frame in frames)


def test_a_message_that_is_missing_or_comes_twice_is_noticed() -> None:
    street = on_shift()

    street.learns(ROUTE)
    street.messages -= 1
    street.learns(ROUTE)
    street.messages += 1
    street.learns(ROUTE)

    assert street.device.faults == {"message came twice": 1, "message missing": 1}


def test_a_refused_shift_is_begun_again_later() -> None:
    street = Street()
    street.connect()

    (start,) = [frame for frame in street.says() if isinstance(frame, Act)]
    street.hears(Done(counter=start.counter, code=Code.UNAVAILABLE))
    again = street.goes_on(MANNERS.looks_s + 1)

    assert [type(action) for _, action in again] == [StartShift]
    assert street.courier.is_on_shift
    assert street.tally.refusals == {"StartShift: unavailable": 1}


def test_a_shift_that_is_answered_late_is_begun_once() -> None:
    street = Street()
    street.connect()
    (start,) = [frame for frame in street.says() if isinstance(frame, Act)]

    street.now = after(NOW, 3 * MANNERS.looks_s)
    waiting = [frame for frame in street.says() if isinstance(frame, Act)]
    street.hears(Done(counter=start.counter))

    assert waiting == []
    assert street.courier.is_on_shift
