"""The map gathers drop-offs in hexagons, and each is in exactly one."""

from collections.abc import Callable
from math import hypot

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dispatch.ids import Instant, OrderId, RestaurantId
from simulations.citymap import city_map, heat, neighbourhoods
from simulations.day import Day, OrderRecord, is_late

AN_ORDER = OrderRecord(
    order_id=OrderId("ord_1"),
    restaurant_id=RestaurantId("rst_1"),
    x_m=0.0,
    y_m=0.0,
    placed_at=Instant(0),
    promised_at=Instant(0),
)
places = st.floats(-5_000, 5_000)


def test_no_drop_off_is_lost_and_none_counted_twice(evening: Day) -> None:
    delivered = [order for order in evening.orders if order.delivered_at is not None]

    found = neighbourhoods(delivered, 300.0)

    assert sum(place.delivered for place in found) == len(delivered)
    assert sum(place.late for place in found) == sum(map(is_late, delivered))
    assert 10 < len(found) < len(delivered)


@given(places, places)
def test_a_drop_off_lies_in_its_hexagon(x_m: float, y_m: float) -> None:
    order = structs.replace(AN_ORDER, x_m=x_m, y_m=y_m)

    (place,) = neighbourhoods([order], 300.0)

    assert hypot(place.x_m - x_m, place.y_m - y_m) <= 300.0 + 1e-6


@pytest.mark.parametrize(
    ("late_share", "step"), [(0, 0), (0.01, 1), (0.05, 1), (0.06, 2), (0.2, 3), (0.21, 4), (1, 4)]
)
def test_the_more_come_late_the_hotter_it_is(late_share: float, step: int) -> None:
    assert heat(late_share) == step


def test_the_map_says_what_it_shows(evening: Day) -> None:
    drawn = city_map(evening)

    assert 'aria-label="Map of Evening in Copenhagen: 48' in drawn
    assert drawn.count("restaurant") == 48 + 1
    assert "km</text>" in drawn


def test_a_day_on_which_nothing_arrived_has_no_map(day_of: Callable[..., Day]) -> None:
    assert city_map(day_of(orders=0)) == ""
