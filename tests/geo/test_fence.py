"""Fences: who stays is there, who rides past or jumps is not."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from geo.fence import Fencing, Presence, Sighting, Standing, seen
from geo.point import Point

DOOR = Point(0.0, 0.0)
FENCING = Fencing(near_m=60.0, away_m=110.0, dwell_s=20.0, doubt_s=120.0)
NOW = 1_800_000_000_000


def at(x_m: float, second: float, speed_mps: float = 0.0) -> Sighting:
    return Sighting(Point(x_m, 0.0), speed_mps, NOW + round(second * 1_000))


def stood(sightings: Iterable[Sighting], fencing: Fencing = FENCING) -> list[str]:
    """How somebody stands to the door after each sighting."""
    presence: Presence | None = None
    told: list[str] = []
    for sighting in sightings:
        presence = seen(presence, DOOR, sighting, fencing)
        told.append(presence.standing.value)
    return told


def test_who_comes_and_stays_is_there_after_the_dwell_and_not_before() -> None:
    coming = [at(200 - 10 * s, s, 10.0) for s in range(0, 20, 5)]
    waiting = [at(3, 25 + s) for s in range(0, 30, 5)]

    told = stood([*coming, *waiting])

    assert told == ["away"] * 3 + ["near"] * 3 + ["there"] * 4


def test_who_rides_past_at_any_speed_that_is_no_walk_is_never_there() -> None:
    for speed_mps in (5.0, 8.0, 15.0):
        way = [at(-300 + speed_mps * s, s, speed_mps) for s in range(120)]

        assert "there" not in stood(way), speed_mps


def test_who_says_that_he_stands_while_his_places_move_rides_past() -> None:
    way = [at(-300 + 9.0 * s, s, 0.0) for s in range(0, 90, 6)]

    assert "there" not in stood(way)


def test_a_position_that_trembles_between_the_two_discs_says_nothing_new() -> None:
    arrived = [at(10, 5 * s) for s in range(6)]
    trembling = [at(80 if s % 2 else 50, 30 + 5 * s) for s in range(10)]

    told = stood([*arrived, *trembling, at(130, 90, 5.0), at(80, 95)])

    assert set(told[5:-2]) == {"there"}
    assert told[-2:] == ["away", "away"]


def test_who_jumps_to_the_door_is_believed_only_when_he_has_stayed_for_long() -> None:
    far = [at(5_000, 0), at(5_000, 5)]
    landed = [at(0, 10 + 5 * s) for s in range(26)]

    told = stood([*far, *landed])

    assert told[: 2 + 24] == ["away"] * 2 + ["near"] * 24
    assert told[-1] == "there"


def test_who_jumps_away_and_back_is_doubted_however_often_he_does_it() -> None:
    hopping = [at(0 if s % 3 else 4_000, 10 * s) for s in range(60)]

    assert "there" not in stood(hopping)


def test_two_pings_far_apart_do_not_tell_that_he_stayed() -> None:
    assert stood([at(0, 0), at(0, 90), at(0, 180)]) == ["near"] * 3
    assert stood([at(0, 0), at(0, 50)])[-1] == "there"


def test_a_ping_that_is_not_newer_changes_nothing() -> None:
    first = seen(None, DOOR, at(0, 10), FENCING)

    assert seen(first, DOOR, at(5_000, 10), FENCING) is first
    assert seen(first, DOOR, at(0, 3), FENCING) is first


sighting = st.tuples(st.floats(-400, 400), st.floats(0.5, 90), st.floats(0, 20))


@given(st.lists(sighting, min_size=1, max_size=40))
def test_nobody_is_there_without_having_been_near_for_the_dwell(
    steps: list[tuple[float, float, float]],
) -> None:
    presence: Presence | None = None
    second, near_since = 0.0, None
    for x_m, after_s, speed_mps in steps:
        second += after_s
        presence = seen(presence, DOOR, at(x_m, second, speed_mps), FENCING)
        if abs(x_m) > FENCING.away_m:
            near_since = None
        elif near_since is None and abs(x_m) <= FENCING.near_m:
            near_since = second

        if presence.standing is Standing.THERE:
            assert near_since is not None
            assert second - near_since >= FENCING.dwell_s - 0.002
