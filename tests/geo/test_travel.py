"""Travel times: exact to the public rule, shaped like distances, and learned from finished legs."""

import math
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.point import Floats, LatLng, Point
from geo.travel import (
    HOURS,
    LEGS_MAX,
    Calibrated,
    CalibratedPace,
    Leg,
    OnStreets,
    Ride,
    StraightLine,
    TravelTimes,
    paced,
)

metres = st.floats(-20_000, 20_000)
points = st.builds(Point, metres, metres)


def rows(*some: Point) -> Floats:
    """Return points as the rows of an array."""
    return np.array([(point.x_m, point.y_m) for point in some])


def by_the_public_rule_s(a: Point, b: Point, metres_per_minute: float) -> float:
    """Return the travel time as the problem's own evaluator works it out."""
    straight_m = math.hypot(b.x_m - a.x_m, b.y_m - a.y_m)
    return float(math.ceil(straight_m / metres_per_minute)) * 60


def finished_legs(rng: Random, count: int, hour: int, speed_mps: float) -> list[Leg]:
    """Return legs ridden at about one speed, with the spread that streets and lights give."""
    gaps_m = [rng.uniform(300, 4_000) for _ in range(count)]
    return [
        Leg(gap_m=gap_m, took_s=gap_m / speed_mps * rng.lognormvariate(0, 0.2), hour=hour)
        for gap_m in gaps_m
    ]


def after_all(calibrated: Calibrated, legs: list[Leg]) -> Calibrated:
    """Return what is known after all the legs, in their order."""
    for leg in legs:
        calibrated = calibrated.learned(leg)
    return calibrated


def test_a_kilometre_at_five_metres_a_second_takes_two_hundred() -> None:
    assert StraightLine(speed_mps=5.0).seconds(Point(0.0, 0.0), Point(600.0, 800.0)) == 200.0


def test_a_detour_makes_the_way_longer() -> None:
    travel = StraightLine(speed_mps=5.0, detour=1.5)

    assert travel.seconds(Point(0.0, 0.0), Point(600.0, 800.0)) == 300.0
    assert travel.matrix_s(np.zeros((1, 2)), np.array([[600.0, 800.0]])).tolist() == [[300.0]]


@pytest.mark.parametrize("metres_per_minute", [314, 320, 419, 427, 333.3])
def test_whole_minutes_are_those_of_the_public_rule_to_the_last_bit(
    metres_per_minute: float,
) -> None:
    rng = np.random.default_rng(3)
    travel = StraightLine(speed_mps=metres_per_minute / 60, rounds_up_to_s=60)
    multiples = rng.integers(-9, 9, (150, 2)).astype(np.float64) * metres_per_minute
    anywhere = rng.integers(-9_000, 9_000, (150, 2)).astype(np.float64)
    places = np.concatenate((multiples, anywhere))

    times_s = travel.matrix_s(places, places)

    nodes = [Point(x_m, y_m) for x_m, y_m in places.tolist()]
    ruled_s = [[by_the_public_rule_s(a, b, metres_per_minute) for b in nodes] for a in nodes]
    assert times_s.tolist() == ruled_s
    assert [travel.seconds(nodes[0], b) for b in nodes] == ruled_s[0]


@given(points, points, st.floats(0.5, 40), st.sampled_from([0.0, 1.0, 60.0]))
def test_a_matrix_holds_what_asking_for_each_pair_gives(
    a: Point, b: Point, speed_mps: float, rounds_up_to_s: float
) -> None:
    travel = StraightLine(speed_mps=speed_mps, rounds_up_to_s=rounds_up_to_s)

    times_s = travel.matrix_s(rows(a, b), rows(b)).tolist()

    assert times_s == [[pytest.approx(travel.seconds(a, b), rel=1e-12)], [0.0]]


@given(points, points, points, st.sampled_from([0.0, 60.0]))
def test_the_way_back_takes_as_long_and_no_way_round_is_shorter(
    a: Point, b: Point, c: Point, rounds_up_to_s: float
) -> None:
    travel = StraightLine(speed_mps=5.0, rounds_up_to_s=rounds_up_to_s)

    direct_s, round_s = travel.seconds(a, c), travel.seconds(a, b) + travel.seconds(b, c)

    assert travel.seconds(c, a) == direct_s
    assert direct_s <= round_s * (1 + 1e-12)


def test_a_matrix_of_nobody_is_empty() -> None:
    travel = StraightLine(speed_mps=5.0, rounds_up_to_s=60)

    assert travel.matrix_s(np.zeros((0, 2)), np.ones((3, 2))).shape == (0, 3)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"speed_mps": 0.0}, "above 0 m/s"),
        ({"speed_mps": math.nan}, "above 0 m/s"),
        ({"speed_mps": 5.0, "detour": 0.9}, "at least 1.0 times"),
        ({"speed_mps": 5.0, "rounds_up_to_s": -1.0}, "round up to 0 s or more"),
    ],
)
def test_a_speed_that_gives_no_time_is_refused(knobs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StraightLine(**knobs)


def test_without_legs_the_prior_speed_holds() -> None:
    calibrated = Calibrated(prior_mps=5.0)

    assert [calibrated.during(hour).speed_mps for hour in range(HOURS)] == [5.0] * HOURS


def test_each_hour_comes_to_the_speed_that_its_legs_show() -> None:
    rng = Random(1)
    rush, night = finished_legs(rng, 600, 18, 3.5), finished_legs(rng, 600, 2, 6.5)

    calibrated = after_all(Calibrated(prior_mps=5.0), rush + night)

    assert calibrated.during(18).speed_mps == pytest.approx(3.5, rel=0.05)
    assert calibrated.during(2).speed_mps == pytest.approx(6.5, rel=0.05)


@pytest.mark.parametrize("lie", [0.6, 38.0])
def test_one_lying_leg_in_ten_moves_the_speed_by_a_twentieth_at_most(lie: float) -> None:
    rng = Random(2)
    honest = finished_legs(rng, 600, 12, 4.0)
    told = [
        Leg(gap_m=leg.gap_m, took_s=leg.gap_m / lie, hour=12) if index % 10 == 0 else leg
        for index, leg in enumerate(honest)
    ]

    calibrated = after_all(Calibrated(prior_mps=5.0), told)

    assert calibrated.ignored == 0
    assert calibrated.during(12).speed_mps == pytest.approx(4.0, rel=0.05)


def test_a_few_legs_move_the_speed_only_a_little() -> None:
    calibrated = after_all(Calibrated(prior_mps=5.0), finished_legs(Random(3), 2, 12, 10.0))

    assert 5.0 < calibrated.during(12).speed_mps < 6.0


def test_an_hour_without_legs_leans_on_the_other_hours() -> None:
    calibrated = after_all(Calibrated(prior_mps=5.0), finished_legs(Random(4), 500, 12, 3.0))

    assert calibrated.during(13).speed_mps == pytest.approx(3.0, rel=0.1)


def test_new_streets_are_learned_when_the_old_legs_have_made_way() -> None:
    before, since = finished_legs(Random(5), 800, 9, 3.0), finished_legs(Random(6), LEGS_MAX, 9, 6)

    calibrated = after_all(Calibrated(prior_mps=5.0), before + since)

    assert calibrated.during(9).speed_mps == pytest.approx(6.0, rel=0.1)
    assert len(calibrated.paces[9]) == LEGS_MAX


@pytest.mark.parametrize(
    ("gap_m", "took_s"),
    [
        (50.0, 10.0),
        (1_000.0, 1.0),
        (1_000.0, 90_000.0),
        (1_000.0, -200.0),
        (math.nan, 200.0),
        (1_000.0, math.nan),
        (math.inf, math.inf),
    ],
)
def test_a_leg_that_tells_no_speed_is_counted_and_ignored(gap_m: float, took_s: float) -> None:
    before = Calibrated(prior_mps=5.0)

    after = before.learned(Leg(gap_m=gap_m, took_s=took_s, hour=12))

    assert after == msgspec.structs.replace(before, ignored=1)


def test_learning_leaves_the_old_knowledge_as_it_was() -> None:
    before = Calibrated(prior_mps=5.0)

    after = before.learned(Leg(gap_m=1_000.0, took_s=250.0, hour=7))

    assert before == Calibrated(prior_mps=5.0)
    assert after.legs[7] == 1


def test_what_was_learned_survives_being_written_down() -> None:
    learned = after_all(Calibrated(prior_mps=5.0), finished_legs(Random(7), 300, 20, 4.0))

    back = msgspec.msgpack.decode(msgspec.msgpack.encode(learned), type=Calibrated)

    assert back == learned
    assert back.during(20) == learned.during(20)


@pytest.mark.parametrize(
    ("prior_mps", "prior_legs", "message"),
    [(0.1, 20.0, "prior speed is between"), (5.0, 0.0, "more than 0 legs")],
)
def test_a_prior_that_nobody_could_believe_is_refused(
    prior_mps: float, prior_legs: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Calibrated(prior_mps=prior_mps, prior_legs=prior_legs)


def test_a_calibration_of_another_shape_cannot_be_decoded() -> None:
    with pytest.raises(msgspec.ValidationError, match="has 24 hours"):
        msgspec.json.decode(b'{"prior_mps": 5.0, "legs": [1, 2]}', type=Calibrated)


def test_there_is_no_twenty_fifth_hour() -> None:
    with pytest.raises(ValueError, match="0 to 23"):
        Calibrated(prior_mps=5.0).during(24)


def test_both_providers_answer_what_the_planner_asks() -> None:
    providers: list[TravelTimes] = [
        StraightLine(speed_mps=5.0),
        Calibrated(prior_mps=5.0).during(12),
    ]

    for travel in providers:
        assert travel.seconds(Point(0.0, 0.0), Point(0.0, 10.0)) == 2.0


def after_rides(paces: list[float], hour: int = 12) -> CalibratedPace:
    """Return what is known after rides of five minutes by the map that took so many times that."""
    known = CalibratedPace()
    for pace in paces:
        known = known.learned(Ride(expected_s=300.0, took_s=300.0 * pace, hour=hour))
    return known


def test_the_pace_of_an_hour_is_learned_from_its_rides() -> None:
    known = after_rides([1.4] * 200, hour=18)

    assert known.during(18) == pytest.approx(1.4, abs=0.04)
    assert 1.2 < known.during(4) < known.during(18)


def test_a_few_rides_change_the_pace_a_little() -> None:
    assert 1.0 < after_rides([2.0]).during(12) < 1.1
    assert CalibratedPace().during(12) == 1.0


def test_rides_that_cannot_be_true_are_counted_and_ignored() -> None:
    odd = [0.0, 0.1, 9.0, float("nan"), float("inf"), -1.0]

    known = after_rides(odd)

    assert known.ignored == len(odd)
    assert known.during(12) == 1.0
    short = known.learned(Ride(expected_s=5.0, took_s=5.0, hour=12))
    assert short.ignored == len(odd) + 1


def test_what_paces_are_remembered_is_bounded() -> None:
    known = after_rides([1.1] * (LEGS_MAX + 50))

    assert len(known.paces[12]) == LEGS_MAX
    assert known.legs[12] == LEGS_MAX + 50


def test_ways_at_a_pace_take_as_many_times_as_long() -> None:
    line = StraightLine(speed_mps=6.0, detour=1.2)
    streets = OnStreets(folder="f", vehicle="car", centre=LatLng(1.0, 2.0), pace=1.1)

    slow_line, slow_streets = paced(line, 1.5), paced(streets, 2.0)

    assert slow_line == StraightLine(speed_mps=4.0, detour=1.2)
    assert isinstance(slow_streets, OnStreets)
    assert slow_streets.pace == pytest.approx(2.2)
