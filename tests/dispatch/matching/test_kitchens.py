"""What a kitchen's word is worth: all while it is kept, less the wider kitchens err."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.ids import OrderId, RestaurantId
from dispatch.matching.kitchens import LEARNED_MIN, OWN_MAX, Cooked, Kitchens
from dispatch.matching.snapshot import OpenOrder

OVEN, GRILL = RestaurantId("oven"), RestaurantId("grill")


def cooking(said_s: float, *, placed_s: float = 0.0, at: RestaurantId = OVEN) -> OpenOrder:
    """An order whose kitchen says that it needs so long."""
    return OpenOrder(
        id=OrderId("o"),
        restaurant_id=at,
        dropoff=(0, 0),
        placed_s=placed_s,
        ready_s=max(0.0, said_s),
        said_s=said_s,
    )


def known(draw: Callable[[random.Random], Cooked], count: int = 300) -> Kitchens:
    """What is learned from so many orders."""
    rng = random.Random(1)
    return Kitchens().after(draw(rng) for _ in range(count))


def guessing(error_s: float, *, spread_s: float = 300.0) -> Kitchens:
    """Kitchens that take 900 s give or take `spread_s`, and err by `error_s`."""
    return known(
        lambda rng: Cooked(OVEN, max(0.0, rng.gauss(900, spread_s)), rng.gauss(0, error_s))
    )


def test_the_word_of_kitchens_that_keep_it_is_believed_to_the_second() -> None:
    punctual = known(lambda rng: Cooked(OVEN, rng.uniform(300, 1_500), 0.0))

    assert punctual.believed(cooking(420.0)) == cooking(420.0)


def test_kitchens_nobody_knows_yet_are_believed() -> None:
    few = known(lambda rng: Cooked(OVEN, 900, rng.gauss(0, 500)), LEARNED_MIN - 1)

    assert few.believed(cooking(2_000.0)).ready_s == 2_000.0


def test_a_guess_is_drawn_to_what_the_kitchen_usually_takes() -> None:
    slight, wild = guessing(100), guessing(500)

    after_slight_s = slight.believed(cooking(2_000.0)).ready_s
    after_wild_s = wild.believed(cooking(2_000.0)).ready_s

    assert 900 < after_wild_s < after_slight_s < 2_000


def test_a_kitchen_that_is_always_late_is_expected_to_be() -> None:
    late = known(lambda rng: Cooked(OVEN, rng.uniform(300, 1_500), 300.0))

    assert late.believed(cooking(600.0)).ready_s == pytest.approx(900.0)


def test_a_kitchen_has_a_usual_time_of_its_own() -> None:
    both = known(
        lambda rng: (
            Cooked(OVEN, rng.gauss(1_200, 60), rng.gauss(0, 600))
            if rng.random() < 0.5
            else Cooked(GRILL, rng.gauss(400, 60), rng.gauss(0, 600))
        )
    )

    at_oven_s = both.believed(cooking(800.0, at=OVEN)).ready_s
    at_grill_s = both.believed(cooking(800.0, at=GRILL)).ready_s

    assert at_oven_s - at_grill_s > 500


def test_food_that_is_overdue_is_still_to_come() -> None:
    wild = guessing(500)

    expected_s = [
        wild.believed(cooking(-passed_s, placed_s=-900 - passed_s)).ready_s
        for passed_s in (0.0, 600.0, 1_800.0, 5_000.0)
    ]

    assert all(one_s > 0 for one_s in expected_s)
    assert expected_s == sorted(expected_s, reverse=True)


def test_the_wider_kitchens_err_the_wider_is_the_spread_of_what_is_believed() -> None:
    slight, wild = guessing(100), guessing(500)

    assert 60 < slight.believed(cooking(900.0)).spread_s < 120
    assert 180 < wild.believed(cooking(900.0)).spread_s < 330


def test_what_is_left_of_likely_times_is_spread_less_widely() -> None:
    wild = guessing(500)

    spreads_s = [
        wild.believed(cooking(-passed_s, placed_s=-900 - passed_s)).spread_s
        for passed_s in (-900.0, 0.0, 600.0, 1_800.0, 5_000.0)
    ]

    assert spreads_s == sorted(spreads_s, reverse=True)
    assert 0 < spreads_s[-1] < spreads_s[0] / 3


def test_what_is_believed_errs_less_than_what_was_said() -> None:
    rng = random.Random(2)
    wild, said_off_s, believed_off_s = guessing(500), 0.0, 0.0
    for _ in range(500):
        took_s = max(0.0, rng.gauss(900, 300))
        said_s = max(0.0, took_s + rng.gauss(0, 500))
        said_off_s += (took_s - said_s) ** 2
        believed_off_s += (took_s - wild.believed(cooking(said_s)).ready_s) ** 2

    assert believed_off_s < 0.6 * said_off_s


@given(
    took_s=st.floats(allow_nan=True, allow_infinity=True),
    late_s=st.floats(allow_nan=True, allow_infinity=True),
    said_s=st.floats(-1e5, 1e5),
)
def test_no_kitchen_can_make_a_round_fail(took_s: float, late_s: float, said_s: float) -> None:
    wild = guessing(500).after([Cooked(OVEN, took_s, late_s)] * 3)

    believed = wild.believed(cooking(said_s, placed_s=-100))
    assert 0 <= believed.ready_s < 1e6
    assert 0 <= believed.spread_s < 1e6


def test_only_so_many_kitchens_are_remembered() -> None:
    crowd = Kitchens().after(Cooked(RestaurantId(f"r{one}"), 900, 0) for one in range(OWN_MAX + 50))

    assert len(crowd.own) == OWN_MAX


def test_orders_that_are_ready_are_left_as_they_are() -> None:
    ready = OpenOrder(id=OrderId("o"), restaurant_id=OVEN, dropoff=(0, 0), placed_s=0, ready_s=-60)

    assert guessing(500).believed(ready) == ready
    assert guessing(500).believed(cooking(900.0)) != cooking(900.0)
