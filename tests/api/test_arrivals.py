"""When an order is expected follows from what is known of it, and from what its market learned."""

import pytest
from msgspec import structs

from api.arrivals import arrival, promised_at
from api.ports import Ground
from dispatch.delivery import DeliveryStatus
from dispatch.ids import CustomerId, Instant, MarketId, OrderId, RestaurantId, after, elapsed_s
from dispatch.kitchen import OrderStatus
from geo.eta import Eta, Observation, Part
from geo.point import LatLng
from storage.orders import OrderRow
from tests.api.stage import CENTRE, GROUND, MARKET, SHARD, TENANT
from wire.orders import Asked, DropOffPlace, PickupPlace

DOOR = LatLng(55.69, 12.58)
WAY_S = GROUND.way.seconds(GROUND.projection.to_point(CENTRE), GROUND.projection.to_point(DOOR))
T0 = Instant(1_800_000_000_000)
ORDER = OrderRow(
    order_id=OrderId("ord_1"),
    tenant_id=TENANT,
    market_id=MARKET,
    shard=SHARD,
    customer_id=CustomerId("usr_1"),
    restaurant_id=RestaurantId("rst_1"),
    external_id=None,
    courier_id=None,
    status=OrderStatus.PLACED,
    delivery_status=DeliveryStatus.SCHEDULED,
    reason="",
    total_minor=None,
    currency=None,
    asked=Asked(
        lines=(),
        pickup=PickupPlace(lat=CENTRE.lat, lng=CENTRE.lng),
        dropoff=DropOffPlace(lat=DOOR.lat, lng=DOOR.lng),
    ),
    created_at=T0,
    wanted_at=None,
    ready_at=None,
    assigned_at=None,
    picked_up_at=None,
    completed_at=None,
    updated_at=T0,
)
ACCEPTED = structs.replace(ORDER, status=OrderStatus.ACCEPTED, ready_at=after(T0, 600))
READY = structs.replace(ACCEPTED, status=OrderStatus.READY_FOR_PICKUP)
CARRIED = structs.replace(
    ORDER,
    status=OrderStatus.HANDED_OVER,
    delivery_status=DeliveryStatus.PICKED_UP,
    ready_at=after(T0, 600),
    picked_up_at=after(T0, 900),
)


def slow(part: Part, key: str, took: float) -> Ground:
    """Return the market after it has seen a part take so long, again and again."""
    eta = Eta()
    for _ in range(40):
        eta = eta.learned(Observation(part, key, took))
    return structs.replace(GROUND, eta=eta)


def at_s(order: OrderRow, now: Instant, ground: Ground = GROUND) -> float:
    """Return in how many seconds after placing the order is expected."""
    expected = arrival(order, ground, now)
    assert expected is not None
    assert now <= expected.low <= expected.at <= expected.high
    return elapsed_s(T0, expected.at)


def width_s(order: OrderRow, now: Instant) -> float:
    expected = arrival(order, GROUND, now)
    assert expected is not None
    return elapsed_s(expected.low, expected.high)


def test_before_the_kitchen_has_spoken_what_it_usually_takes_counts() -> None:
    usual_s = at_s(ORDER, T0)

    slow_s = at_s(ORDER, T0, slow(Part.COOKING, "rst_1", 3_600))

    assert slow_s > usual_s + 1_500


def test_an_order_for_later_is_expected_after_its_time() -> None:
    later = structs.replace(ORDER, wanted_at=after(T0, 7_200))

    assert at_s(later, T0) > 7_200 + WAY_S


def test_a_kitchens_word_counts_as_much_as_it_was_worth() -> None:
    believed_s = at_s(ACCEPTED, T0)

    doubted_s = at_s(ACCEPTED, T0, slow(Part.WORD, "rst_1", 900))

    assert doubted_s == pytest.approx(believed_s + 840, abs=120)


def test_what_happens_narrows_what_is_told() -> None:
    widths_s = [
        width_s(ORDER, T0),
        width_s(ACCEPTED, after(T0, 30)),
        width_s(READY, after(T0, 600)),
        width_s(CARRIED, after(T0, 900)),
    ]

    assert widths_s == sorted(widths_s, reverse=True)


def test_from_the_pickup_on_only_the_way_counts() -> None:
    assert at_s(CARRIED, after(T0, 900)) == pytest.approx(900 + WAY_S, abs=300)
    assert at_s(CARRIED, after(T0, 900), slow(Part.COOKING, "rst_1", 7_200)) == at_s(
        CARRIED, after(T0, 900)
    )


def test_a_courier_at_the_door_is_a_minute_or_two_away() -> None:
    there_at = after(T0, 1_500)
    there = structs.replace(
        CARRIED, delivery_status=DeliveryStatus.ARRIVED_AT_DROPOFF, updated_at=there_at
    )

    assert at_s(there, there_at) < 1_500 + 180


def test_what_is_late_is_still_to_come() -> None:
    now = after(T0, 4 * 3_600)

    assert at_s(CARRIED, now) > 4 * 3_600


def test_an_order_is_promised_by_when_nine_in_ten_would_be_there() -> None:
    asked = ORDER.asked

    promised = promised_at("rst_1", asked.pickup, asked.dropoff, GROUND, T0, None)

    expected = arrival(ORDER, GROUND, T0)
    assert expected is not None
    assert promised is not None
    assert expected.at < promised <= after(expected.high, 60)


def test_what_has_ended_is_not_expected_any_more() -> None:
    ended = structs.replace(ORDER, delivery_status=DeliveryStatus.DELIVERED)

    assert arrival(ended, GROUND, T0) is None
    assert arrival(ORDER, None, T0) is None


def test_an_order_whose_market_has_moved_away_has_no_expectation() -> None:
    elsewhere = structs.replace(ORDER.asked, pickup=PickupPlace(lat=-33.0, lng=151.0))

    stranded = structs.replace(ORDER, market_id=MarketId("m"), asked=elsewhere)

    assert arrival(stranded, GROUND, T0) is None
    assert promised_at("rst_1", elsewhere.pickup, elsewhere.dropoff, GROUND, T0, None) is None
