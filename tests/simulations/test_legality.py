"""What an order can have become, over any number of messages."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from dispatch.delivery import DeliveryStatus
from dispatch.kitchen import OrderStatus
from simulations.legality import DELIVERY_REACH, ORDER_REACH, reach_of


class Stage(StrEnum):
    SOWN = "sown"
    GREEN = "green"
    RIPE = "ripe"
    EATEN = "eaten"


class Rain(Struct):
    """It grows."""


class Sun(Struct):
    """It ripens."""


LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.EATEN: {},
    Stage.RIPE: {Rain: Stage.EATEN},
    Stage.SOWN: {Rain: Stage.GREEN},
    Stage.GREEN: {Rain: Stage.SOWN, Sun: Stage.RIPE},
}


def test_a_status_reaches_itself_and_whatever_its_messages_lead_to_in_the_end() -> None:
    assert reach_of(LEGAL) == {
        Stage.EATEN: {Stage.EATEN},
        Stage.RIPE: {Stage.RIPE, Stage.EATEN},
        Stage.SOWN: set(Stage),
        Stage.GREEN: set(Stage),
    }


def test_an_order_goes_on_from_its_placing_and_never_back_to_it() -> None:
    assert ORDER_REACH[OrderStatus.PLACED] == set(OrderStatus)
    assert [status for status in OrderStatus if OrderStatus.PLACED in ORDER_REACH[status]] == [
        OrderStatus.PLACED
    ]
    assert ORDER_REACH[OrderStatus.COMPLETED] == {OrderStatus.COMPLETED}


def test_every_status_of_both_sides_is_known() -> None:
    assert ORDER_REACH.keys() == set(OrderStatus)
    assert DELIVERY_REACH.keys() == set(DeliveryStatus)
