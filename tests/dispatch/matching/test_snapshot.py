"""What a round may know: rows given one by one, kept as columns."""

import pytest

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.snapshot import NOBODY, OpenOrder, snapshot
from tests.dispatch.matching.markets import city, courier, order, street


def test_rows_keep_the_order_in_which_they_were_given() -> None:
    known = street([order(2, at=0, to=9), order(1, at=5, to=7)], [courier(3, at=1)])

    assert known.order_ids == ("o2", "o1")
    assert [known.restaurant_ids[one] for one in known.restaurant] == ["r0", "r5"]
    assert known.dropoff_xy.tolist() == [[9.0, 0.0], [7.0, 0.0]]


def test_a_courier_is_bound_to_the_restaurant_he_waits_at() -> None:
    known = street([order(1, at=5, to=7)], [courier(1, at=5, is_bound=True), courier(2, at=5)])

    assert known.restaurant_ids[known.bound[0]] == "r5"
    assert known.bound[1] == NOBODY


def test_an_order_held_by_somebody_who_is_not_here_is_held_by_nobody() -> None:
    known = street(
        [order(1, at=0, to=9, held_by="c1"), order(2, at=0, to=9, held_by="c9")], [courier(1, at=0)]
    )

    assert known.held_by.tolist() == [0, NOBODY]


def test_a_couriers_refusal_of_an_order_is_kept_as_long_as_he_is_here() -> None:
    known = street(
        [order(1, at=0, to=9, barred=["c2", "c9"])], [courier(1, at=0), courier(2, at=0)]
    )

    assert known.barred == ((0, 1),)


def test_an_order_from_a_restaurant_nobody_named_is_refused_with_its_id() -> None:
    stray = OpenOrder(
        id=OrderId("o1"), restaurant_id=RestaurantId("r?"), dropoff=(0, 0), placed_s=0, ready_s=0
    )

    with pytest.raises(KeyError, match=r"r\?"):
        snapshot(Instant(0), {}, [stray], [])


def test_an_empty_market_has_empty_columns_of_the_right_shape() -> None:
    known = street([], [])

    assert known.dropoff_xy.shape == known.free_xy.shape == (0, 2)


def test_a_drawn_market_has_everything_in_it() -> None:
    markets = [city(seed) for seed in range(20)]

    assert any((known.bound != NOBODY).any() for known in markets)
    assert any((known.held_by != NOBODY).any() for known in markets)
    assert any(known.barred for known in markets)
    assert all(known.courier_ids[0] == CourierId("c0") for known in markets)
