"""What zones say of an order: where it can be taken, and when."""

from dispatch.ids import Instant, TenantId, ZoneId, after
from dispatch.zone import Barred, Plot, Zone, ZoneKind, bars, found_at
from geo.area import area_of
from geo.point import LatLng
from geo.polygon import checked
from tests.dispatch.builders import MARKET, NOW

KITCHEN, DOOR = LatLng(55.68, 12.57), LatLng(55.69, 12.60)


def plot(
    kind: ZoneKind,
    around: LatLng,
    side: float = 0.005,
    name: str = "one",
    *,
    until: Instant | None = None,
    ended_at: Instant | None = None,
) -> Plot:
    west, south = around.lng - side, around.lat - side
    east, north = around.lng + side, around.lat + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    zone = Zone(
        zone_id=ZoneId(f"zon_{name}"),
        tenant_id=TenantId("tnt_1"),
        market_id=MARKET,
        kind=kind,
        name=name,
        outline=checked([[ring]]),
        until=until,
        ended_at=ended_at,
    )
    return Plot(zone, area_of(zone.outline))


def test_without_zones_everything_is_taken() -> None:
    assert bars((), KITCHEN, DOOR, NOW) == ()


def test_where_service_areas_are_drawn_both_ends_lie_in_one_of_them() -> None:
    around_kitchen = plot(ZoneKind.SERVICE, KITCHEN)
    around_door = plot(ZoneKind.SERVICE, DOOR, name="two")

    assert bars([around_kitchen], KITCHEN, DOOR, NOW) == (Barred(is_door=True),)
    assert bars([around_door], KITCHEN, DOOR, NOW) == (Barred(is_door=False),)
    assert bars([around_kitchen, around_door], KITCHEN, DOOR, NOW) == ()


def test_closed_streets_and_surges_keep_nobody_from_ordering() -> None:
    plots = [plot(ZoneKind.CLOSED, DOOR), plot(ZoneKind.SURGE, DOOR)]

    assert bars(plots, KITCHEN, DOOR, NOW) == ()


def test_the_pause_that_lasts_longest_is_told() -> None:
    short = plot(ZoneKind.PAUSED, DOOR, until=after(NOW, 60), name="short")
    long = plot(ZoneKind.PAUSED, DOOR, until=after(NOW, 600), name="long")

    assert bars([long, short], KITCHEN, DOOR, NOW) == (Barred(is_door=True, zone=long.zone),)
    assert bars([long, short], DOOR, KITCHEN, NOW) == (Barred(is_door=False, zone=long.zone),)


def test_a_zone_that_has_lapsed_or_ended_says_nothing() -> None:
    lapsed = plot(ZoneKind.PAUSED, DOOR, until=NOW)
    ended = plot(ZoneKind.SERVICE, KITCHEN, ended_at=Instant(NOW - 1))

    assert bars([lapsed, ended], KITCHEN, DOOR, NOW) == ()
    assert bars([lapsed], KITCHEN, DOOR, Instant(NOW - 1)) != ()


def test_the_zones_of_a_kind_at_a_place_are_found() -> None:
    inner = plot(ZoneKind.SURGE, DOOR, 0.001, name="inner")
    outer = plot(ZoneKind.SURGE, DOOR, 0.01, name="outer")
    plots = [inner, outer, plot(ZoneKind.PAUSED, DOOR)]
    beside = LatLng(DOOR.lat + 0.005, DOOR.lng)

    assert found_at(plots, DOOR, ZoneKind.SURGE) == (inner, outer)
    assert found_at(plots, beside, ZoneKind.SURGE) == (outer,)
    assert found_at(plots, KITCHEN, ZoneKind.SURGE) == ()
