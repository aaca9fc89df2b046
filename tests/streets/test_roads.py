"""What the tags of a road say: who may use it, in which direction, how fast."""

from math import inf, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streets.roads import ROADS, VEHICLES, Passage, Vehicle, duration_s, passage, speed_limit_kmh

KMH = 3.6


def road(**tags: str) -> Passage | None:
    return passage({key.replace("__", ":"): value for key, value in tags.items()}, 100.0)


def open_to(found: Passage | None) -> tuple[set[Vehicle], set[Vehicle]]:
    """Who may go along a way, and who against it."""
    assert found is not None
    along, against = (
        {vehicle for vehicle, pace in zip(VEHICLES, paces, strict=True) if isfinite(pace)}
        for paces in (found.forward, found.backward)
    )
    return along, against


def kmh(found: Passage | None, vehicle: Vehicle) -> float:
    assert found is not None
    return KMH / found.forward[VEHICLES.index(vehicle)]


def test_a_street_is_open_to_everybody_in_both_directions() -> None:
    along, against = open_to(road(highway="residential"))

    assert along == against == set(VEHICLES)


def test_what_is_no_road_is_none() -> None:
    kinds = ("construction", "proposed", "platform", "raceway", "ferry", "")

    assert [road(highway=kind) for kind in kinds] == [None] * len(kinds)
    assert passage({"building": "yes"}, 100.0) is None


def test_a_one_way_street_is_left_on_foot_or_pushing_a_bicycle() -> None:
    found = road(highway="residential", oneway="yes")

    assert open_to(found) == (set(VEHICLES), {Vehicle.BICYCLE, Vehicle.WALK})
    assert found is not None
    assert found.backward[0] > 3 * found.forward[0]


def test_a_one_way_street_against_its_drawing_is_the_other_way_round() -> None:
    along, against = open_to(road(highway="residential", oneway="-1"))

    assert Vehicle.CAR not in along
    assert Vehicle.CAR in against


def test_a_roundabout_is_one_way_without_saying_so() -> None:
    _, against = open_to(road(highway="tertiary", junction="roundabout"))

    assert Vehicle.CAR not in against
    assert Vehicle.SCOOTER not in against


@pytest.mark.parametrize(
    "tags",
    [{"oneway__bicycle": "no"}, {"cycleway": "opposite"}, {"cycleway__left": "opposite_lane"}],
)
def test_a_bicycle_may_be_let_in_against_a_one_way_street(tags: dict[str, str]) -> None:
    found = road(highway="residential", oneway="yes", **tags)

    assert found is not None
    assert found.backward[0] == found.forward[0]
    assert found.backward[VEHICLES.index(Vehicle.CAR)] == inf


def test_a_motorway_is_for_cars_alone() -> None:
    along, against = open_to(road(highway="motorway"))

    assert along == {Vehicle.CAR}
    assert against == set()


def test_on_a_footway_a_bicycle_is_pushed_unless_it_is_invited() -> None:
    pushed, ridden = road(highway="footway"), road(highway="footway", bicycle="yes")

    assert open_to(pushed)[0] == {Vehicle.BICYCLE, Vehicle.WALK}
    assert kmh(pushed, Vehicle.BICYCLE) == pytest.approx(4.5)
    assert kmh(ridden, Vehicle.BICYCLE) == pytest.approx(10)


def test_steps_are_slow_and_never_ridden() -> None:
    found = road(highway="steps", bicycle="yes")

    assert open_to(found)[0] == {Vehicle.BICYCLE, Vehicle.WALK}
    assert kmh(found, Vehicle.BICYCLE) == pytest.approx(1.5)
    assert kmh(found, Vehicle.WALK) == pytest.approx(2.5)


def test_the_most_particular_tag_says_who_may_enter() -> None:
    along, _ = open_to(road(highway="service", access="no", motor_vehicle="delivery", foot="yes"))

    assert along == {Vehicle.SCOOTER, Vehicle.CAR, Vehicle.WALK, Vehicle.BICYCLE}
    assert open_to(road(highway="service", access="private", foot="yes"))[0] == {
        Vehicle.WALK,
        Vehicle.BICYCLE,
    }


def test_a_private_road_is_none_at_all() -> None:
    assert road(highway="service", access="private") is None


def test_a_limit_slows_cars_and_a_scooter_keeps_its_own() -> None:
    slow, fast = road(highway="primary", maxspeed="30"), road(highway="primary", maxspeed="80")

    assert kmh(slow, Vehicle.CAR) == pytest.approx(0.85 * 30)
    assert kmh(fast, Vehicle.CAR) == pytest.approx(0.85 * 80)
    assert kmh(fast, Vehicle.SCOOTER) == pytest.approx(45)


def test_cobbles_slow_wheels_and_not_walkers() -> None:
    smooth, rough = road(highway="residential"), road(highway="residential", surface="cobblestone")

    assert kmh(rough, Vehicle.BICYCLE) == pytest.approx(0.75 * kmh(smooth, Vehicle.BICYCLE))
    assert kmh(rough, Vehicle.WALK) == kmh(smooth, Vehicle.WALK)


def test_a_ferry_takes_the_time_it_says_and_cars_only_if_it_says_so() -> None:
    tags = {"route": "ferry", "duration": "00:25"}

    found = passage(tags, 5_000.0)
    with_cars = passage({**tags, "motor_vehicle": "yes"}, 5_000.0)

    assert found is not None
    assert ROADS[found.road] == "ferry"
    assert found.forward[0] * 5_000 == pytest.approx(25 * 60)
    assert open_to(found)[0] == {Vehicle.BICYCLE, Vehicle.WALK}
    assert open_to(with_cars)[0] == set(VEHICLES)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("50", 50), ("50 km/h", 50), ("30 mph", 48.28), ("30mph", 48.28), ("9999999999", 130)],
)
def test_a_limit_is_read_in_either_unit(text: str, limit: float) -> None:
    assert speed_limit_kmh(text) == pytest.approx(limit, abs=0.01)


@pytest.mark.parametrize(
    "text",
    ["", "none", "walk", "MT:urban", "-5", "0", "1e9", "\N{ARABIC-INDIC DIGIT FIVE}0", "50;30"],
)
def test_a_limit_that_is_no_figure_says_nothing(text: str) -> None:
    assert speed_limit_kmh(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25", 1_500),
        ("00:25", 1_500),
        ("01:05:30", 3_930),
        ("", None),
        ("PT25M", None),
        ("0", None),
    ],
)
def test_a_duration_is_read_in_the_usual_forms(text: str, seconds: int | None) -> None:
    assert duration_s(text) == seconds


KEYS = ("highway", "route", "oneway", "maxspeed", "duration", "access", "bicycle", "surface")


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=8) | st.sampled_from(ROADS)))
def test_no_tags_make_a_road_of_no_or_negative_time(tags: dict[str, str]) -> None:
    found = passage(tags, 100.0)

    assert found is None or all(pace > 0 for pace in (*found.forward, *found.backward))
