"""What a robo-customer makes of what he is shown: latencies, and what he had no business to see."""

import msgspec
import pytest

from dispatch.delivery import DeliveryStatus
from dispatch.ids import DeviceId, Instant, OrderId, after
from dispatch.kitchen import OrderStatus
from simulations.load.customer import RoboCustomer
from simulations.load.device import Device
from simulations.load.tally import Tally
from wire import events
from wire.frames import Message, Notation, Position, ServerFrame, StreamFrame, Watch, Welcome

NOW = Instant(1_800_000_000_000)
SOUP = OrderId("ord_soup")


class Sofa:
    """A customer and what he hears."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.device = Device("token", DeviceId("dev_1"), Notation.JSON)
        self.customer = RoboCustomer(self.device, self.tally)
        self.messages = 0
        self.connect()

    def connect(self) -> None:
        self.customer.connected(NOW)
        last = self.device.last_message_id or 0
        welcome = Welcome(
            session_id="s", person="usr_1", node="n", last_message_id=last, server_at=NOW
        )
        self.hears(welcome, NOW)

    def hears(self, frame: ServerFrame, now: Instant) -> None:
        self.customer.received(msgspec.json.encode(frame), now)

    def moves(self, status: OrderStatus, delivery: DeliveryStatus, at: Instant) -> None:
        self.messages += 1
        moved = events.OrderMoved(order_id=SOUP, status=status, delivery_status=delivery, at=at)
        event = msgspec.Raw(msgspec.json.encode(moved))
        self.hears(Message(message_id=self.messages, epoch=1, event=event), at)

    def sees(self, seen_at: Instant, now: Instant) -> None:
        self.hears(Position(order_id=SOUP, lat=55.0, lng=12.0, speed_mps=4.0, seen_at=seen_at), now)


def test_an_order_is_timed_from_the_click_to_the_door_and_positions_by_their_age() -> None:
    sofa = Sofa()

    sofa.customer.placed(SOUP, NOW)
    sofa.moves(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, after(NOW, 40))
    sofa.sees(after(NOW, 45), after(NOW, 45.05))
    sofa.moves(OrderStatus.COMPLETED, DeliveryStatus.DELIVERED, after(NOW, 60))
    sofa.customer.close()

    assert sofa.tally.took_ms["ping_to_frame"].latency().max == pytest.approx(50)
    assert sofa.tally.took_ms["click_to_door"].latency().max == pytest.approx(60_000)
    assert sofa.tally.counts["orders delivered"] == 1
    assert not sofa.tally.errors


@pytest.mark.parametrize("seen_s", [20.0, 65.0])
def test_a_position_before_the_pickup_or_after_the_end_is_an_error(seen_s: float) -> None:
    sofa = Sofa()

    sofa.moves(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, after(NOW, 40))
    sofa.moves(OrderStatus.COMPLETED, DeliveryStatus.DELIVERED, after(NOW, 60))
    sofa.sees(after(NOW, seen_s), after(NOW, 66))

    assert sofa.tally.errors == {"position outside pickup and drop-off": 1}


def test_a_position_of_an_order_that_was_never_picked_up_is_an_error() -> None:
    sofa = Sofa()

    sofa.sees(NOW, NOW)
    sofa.customer.close()

    assert sofa.tally.errors == {"position outside pickup and drop-off": 1}


def test_a_position_that_overtakes_the_word_of_the_pickup_is_none() -> None:
    sofa = Sofa()

    sofa.sees(after(NOW, 41), after(NOW, 41))
    sofa.moves(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, after(NOW, 40))
    sofa.customer.close()

    assert not sofa.tally.errors


def test_what_is_on_its_way_is_watched_again_after_a_lost_connection() -> None:
    sofa = Sofa()
    sofa.moves(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, NOW)

    sofa.connect()
    frames = [msgspec.json.decode(one, type=StreamFrame) for one in sofa.customer.frames(NOW)]

    assert Watch(order_id=SOUP) in frames
    assert not sofa.device.faults
