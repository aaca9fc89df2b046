"""When an order is expected follows from what is known of it, and not from the clock."""

from msgspec import structs

from api.arrivals import KITCHEN_MARGIN_S, READY_MARGIN_S, WAY, WAY_MARGIN_S_MIN, arrival
from dispatch.delivery import DeliveryStatus
from dispatch.ids import CustomerId, Instant, MarketId, OrderId, RestaurantId, after, elapsed_s
from dispatch.kitchen import OrderStatus
from geo.point import LatLng
from storage.orders import OrderRow
from tests.api.stage import CENTRE, GROUND, MARKET, POLICY, SHARD, TENANT
from wire.orders import Asked, DropOffPlace, PickupPlace

DOOR = LatLng(55.69, 12.58)
WAY_S = WAY.seconds(GROUND.projection.to_point(CENTRE), GROUND.projection.to_point(DOOR))
T0 = Instant(1_000_000)
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
HANDOVERS_S = POLICY.pickup_s + POLICY.dropoff_s / 2


def test_before_the_kitchen_has_spoken_its_usual_time_counts() -> None:
    expected = arrival(ORDER, GROUND)

    assert expected is not None
    assert expected.at == after(T0, POLICY.prep_default_s + HANDOVERS_S + WAY_S)
    assert elapsed_s(expected.low, expected.at) >= KITCHEN_MARGIN_S


def test_an_order_for_later_is_expected_after_its_time() -> None:
    later = structs.replace(ORDER, wanted_at=after(T0, 7_200))

    expected = arrival(later, GROUND)

    assert expected is not None
    assert expected.at == after(T0, 7_200 + HANDOVERS_S + WAY_S)


def test_the_kitchens_word_counts_and_readiness_narrows_the_margin() -> None:
    accepted = structs.replace(ORDER, status=OrderStatus.ACCEPTED, ready_at=after(T0, 600))
    ready = structs.replace(accepted, status=OrderStatus.READY_FOR_PICKUP)

    before, then = arrival(accepted, GROUND), arrival(ready, GROUND)

    assert before is not None
    assert then is not None
    assert before.at == then.at == after(T0, 600 + HANDOVERS_S + WAY_S)
    gained_s = elapsed_s(before.low, then.low)
    assert gained_s == KITCHEN_MARGIN_S - READY_MARGIN_S


def test_from_the_pickup_on_only_the_way_counts() -> None:
    carried = structs.replace(
        ORDER,
        status=OrderStatus.HANDED_OVER,
        delivery_status=DeliveryStatus.PICKED_UP,
        ready_at=after(T0, 600),
        picked_up_at=after(T0, 900),
    )

    expected = arrival(carried, GROUND)

    assert expected is not None
    assert expected.at == after(T0, 900 + WAY_S + POLICY.dropoff_s / 2)
    assert elapsed_s(expected.at, expected.high) == max(WAY_MARGIN_S_MIN, round(WAY_S * 250) / 1000)


def test_what_has_ended_is_not_expected_any_more() -> None:
    ended = structs.replace(ORDER, delivery_status=DeliveryStatus.DELIVERED)

    assert arrival(ended, GROUND) is None
    assert arrival(ORDER, None) is None


def test_an_order_whose_market_has_moved_away_has_no_expectation() -> None:
    elsewhere = structs.replace(ORDER.asked, pickup=PickupPlace(lat=-33.0, lng=151.0))

    stranded = structs.replace(ORDER, market_id=MarketId("m"), asked=elsewhere)

    assert arrival(stranded, GROUND) is None
