"""The position feed: what of a thousand pings is worth a message to a courier's actor."""

from msgspec import Struct

from actors.positions import PositionFeed
from dispatch.courier import GoQuiet, Hear, Move
from dispatch.ids import CourierId, Instant, after
from geo.ping import Ping, Track
from geo.point import LatLng, Point, gap_m
from geo.positions import PositionTable
from geo.projection import Projection

CENTRE = LatLng(55.676, 12.568)
NOON = Instant(1_800_000_000_000)
ANN = CourierId("ann")

type Said = list[tuple[str, str, Struct]]


def _feed() -> tuple[PositionFeed, Said]:
    said: Said = []
    feed = PositionFeed(
        PositionTable(Projection(CENTRE)),
        lambda kind, key, message: said.append((kind, key, message)),
        quiet_s=90.0,
    )
    feed.join(ANN, NOON)
    return feed, said


def _ping(feed: PositionFeed, seconds: float, north_m: float = 0.0) -> None:
    place = Projection(CENTRE).to_lat_lng(Point(0.0, north_m))
    at = after(NOON, seconds)
    feed.take([Track(ANN, (Ping(place.lat, place.lng, 5.0, at),))], at)


def test_a_courier_is_told_only_when_he_enters_another_cell() -> None:
    feed, said = _feed()

    for second in range(600):
        _ping(feed, second, north_m=4.0 * second)

    moves = [message for _, _, message in said if isinstance(message, Move)]
    assert len(moves) == len(said)
    assert 6 <= len(moves) <= 14


def test_silence_is_told_once_and_so_is_its_end() -> None:
    feed, said = _feed()
    _ping(feed, 0)
    said.clear()

    for second in (60, 89, 92, 100, 200):
        feed.look(after(NOON, second))
    _ping(feed, 210)
    _ping(feed, 211)
    feed.look(after(NOON, 212))

    assert said == [("courier", ANN, GoQuiet()), ("courier", ANN, Hear())]


def test_a_courier_off_shift_is_not_missed() -> None:
    feed, said = _feed()
    _ping(feed, 0)
    said.clear()

    feed.leave(ANN)
    feed.look(after(NOON, 500))

    assert said == []
    assert feed.sightings() == {}


def test_a_round_sees_where_couriers_are_but_for_the_silent_ones() -> None:
    feed, _ = _feed()
    _ping(feed, 0, north_m=250.0)

    seen = feed.sightings()
    feed.look(after(NOON, 100))

    assert gap_m(seen[ANN], Point(0.0, 250.0)) < 0.01
    assert feed.sightings() == {}
