"""Which pings are believed, one at a time and within a batch, and when a courier has stopped."""

from math import inf, nan

import msgspec
import pytest

from geo.ping import Belief, Ping, Track
from geo.point import LatLng
from geo.position import Changes, Position
from geo.positions import PositionTable
from geo.projection import Projection

NOW = 1_790_000_000_000
HOME = LatLng(55.68, 12.57)
ONE_METRE_LAT = 1 / 111_300


def ping(seen_at: int = NOW, *, north_m: float = 0.0, speed_mps: float = 3.0) -> Ping:
    """Return a ping so many metres north of home."""
    return Ping(HOME.lat + north_m * ONE_METRE_LAT, HOME.lng, speed_mps, seen_at)


def track(*pings: Ping) -> tuple[Track, ...]:
    """Return a batch of one track, of the courier Ada."""
    return (Track("ada", pings),)


def table(belief: Belief | None = None) -> PositionTable:
    """Return a table that Ada has joined."""
    made = PositionTable(Projection(HOME), belief=belief)
    made.join("ada", NOW)
    return made


def known(positions: PositionTable) -> Position:
    """Return where Ada is, who must have been seen."""
    position = positions.find_position("ada")
    assert position is not None
    return position


def counts(positions: PositionTable) -> dict[str, int]:
    """Return what became of the pings, without what never happened."""
    return {verdict: count for verdict, count in positions.statistics().pings.items() if count}


def test_a_ping_says_where_its_courier_is() -> None:
    positions = table()

    positions.ping("ada", ping(NOW - 500, north_m=40, speed_mps=4.5), NOW)

    assert known(positions).lat == HOME.lat + 40 * ONE_METRE_LAT
    assert known(positions).lng == HOME.lng
    assert known(positions).point.y_m == pytest.approx(40, rel=0.01)
    assert known(positions).speed_mps == 4.5
    assert known(positions).seen_at == NOW - 500


def test_a_courier_who_never_sent_a_ping_is_nowhere() -> None:
    assert table().find_position("ada") is None


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"lat": nan}, "malformed"),
        ({"lat": inf}, "malformed"),
        ({"lat": 90.5}, "malformed"),
        ({"lng": nan}, "malformed"),
        ({"lng": -inf}, "malformed"),
        ({"lng": 181.0}, "malformed"),
        ({"speed_mps": nan}, "malformed"),
        ({"speed_mps": -1.0}, "malformed"),
        ({"speed_mps": 1e9}, "malformed"),
        ({"lat": 57.5}, "out_of_reach"),
        ({"lat": -55.68, "lng": -167.43}, "out_of_reach"),
        ({"seen_at": NOW + 10_001}, "untimely"),
        ({"seen_at": NOW - 600_001}, "untimely"),
        ({"seen_at": 2**64 - 1}, "untimely"),
        ({"seen_at": -(2**63)}, "untimely"),
    ],
)
def test_a_ping_that_cannot_be_believed_is_counted_and_changes_nothing(
    changed: dict[str, object], verdict: str
) -> None:
    positions = table()

    changes = positions.ping("ada", msgspec.structs.replace(ping(), **changed), NOW)

    assert changes == Changes()
    assert counts(positions) == {verdict: 1}
    assert positions.find_position("ada") is None


def test_a_bad_ping_does_not_hurt_the_others_of_its_batch() -> None:
    positions = table()
    bad = ping(NOW + 1, north_m=inf)
    stranger = Track("nobody", (ping(), ping()))

    positions.apply([stranger, *track(bad, ping(NOW + 2, north_m=30), bad), stranger], NOW)

    assert known(positions).seen_at == NOW + 2
    assert counts(positions) == {"accepted": 1, "malformed": 2, "unknown_courier": 4}


def test_a_ping_older_than_what_is_known_is_stale_also_within_its_batch() -> None:
    positions = table()

    positions.apply(
        track(ping(NOW + 2_000, north_m=20), ping(NOW + 1_000, north_m=10), ping(NOW + 2_000)), NOW
    )
    positions.ping("ada", ping(NOW + 1_500, north_m=15), NOW)

    assert known(positions).seen_at == NOW + 2_000
    assert known(positions).point.y_m == pytest.approx(20, rel=0.01)
    assert counts(positions) == {"accepted": 1, "stale": 3}


def test_the_same_batch_twice_changes_nothing_the_second_time() -> None:
    positions = table()
    batch = track(ping(NOW + 1_000, north_m=100), ping(NOW + 2_000, north_m=300))
    positions.apply(batch, NOW)
    before = known(positions)

    changes = positions.apply(batch, NOW)

    assert changes == Changes()
    assert known(positions) == before


def test_a_batch_without_pings_changes_nothing() -> None:
    positions = table()

    assert positions.apply((), NOW) == Changes()
    assert positions.apply(track(), NOW) == Changes()
    assert counts(positions) == {}


def test_a_jump_that_nobody_could_ride_is_implausible() -> None:
    positions = table()
    positions.ping("ada", ping(), NOW)

    positions.ping("ada", ping(NOW + 5_000, north_m=600), NOW)
    positions.ping("ada", ping(NOW + 6_000, north_m=600), NOW)

    assert known(positions).seen_at == NOW + 6_000
    assert counts(positions) == {"accepted": 2, "implausible": 1}


def test_after_long_silence_any_new_position_is_believed() -> None:
    positions = table()
    positions.ping("ada", ping(), NOW)

    positions.ping("ada", ping(NOW + 119_000, north_m=50_000), NOW + 120_000)
    positions.ping("ada", ping(NOW + 120_000, north_m=50_000), NOW + 120_000)

    assert known(positions).seen_at == NOW + 120_000
    assert counts(positions) == {"accepted": 2, "implausible": 1}


def test_a_courier_who_stays_in_place_has_stopped_and_then_moves_again() -> None:
    positions = table()
    shaking = [ping(NOW + s * 1_000, north_m=(s % 20) - 10) for s in range(0, 60, 10)]
    positions.apply(track(*shaking), NOW + 60_000)

    stopped = positions.ping("ada", ping(NOW + 70_000), NOW + 70_000)
    still = positions.ping("ada", ping(NOW + 80_000, north_m=8), NOW + 80_000)
    moving = positions.ping("ada", ping(NOW + 90_000, north_m=60), NOW + 90_000)

    assert (stopped.stopped, stopped.moving_again) == (("ada",), ())
    assert (still.stopped, still.moving_again) == ((), ())
    assert (moving.stopped, moving.moving_again) == ((), ("ada",))
    assert known(positions).is_moving


def test_a_courier_who_crawls_has_not_stopped() -> None:
    positions = table()
    crawl = [ping(NOW + s * 1_000, north_m=s * 0.6) for s in range(0, 300, 10)]

    changes = [positions.ping("ada", each, each.seen_at) for each in crawl]

    assert [change.stopped for change in changes] == [()] * len(crawl)


def test_stopping_and_moving_on_within_one_batch_is_no_change() -> None:
    positions = table()
    positions.ping("ada", ping(), NOW)
    stop_and_go = track(ping(NOW + 61_000), ping(NOW + 62_000, north_m=100))

    changes = positions.apply(stop_and_go, NOW + 62_000)

    assert changes.stopped == changes.moving_again == ()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"reach_m_max": 150_000.0}, "reach_m_max is at most 100000"),
        ({"speed_mps_max": 0.0}, "speed_mps_max is above 0"),
        ({"still_s_min": nan}, "still_s_min is above 0"),
        ({"age_s_max": inf}, "age_s_max is above 0 and finite"),
    ],
)
def test_a_belief_that_nothing_could_pass_is_refused(knobs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Belief(**knobs)


def test_what_is_believed_can_be_set() -> None:
    positions = table(Belief(speed_mps_max=10.0, jump_m_max=50.0))
    positions.ping("ada", ping(), NOW)

    positions.ping("ada", ping(NOW + 10_000, north_m=200), NOW + 10_000)

    assert counts(positions) == {"accepted": 1, "implausible": 1}
