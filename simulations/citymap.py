"""The map of a day's city: where people ordered, how late it came there, and the restaurants.

Drop-offs are gathered in hexagons: the size of one says how many there were, its colour how many of
them came late. Whoever points at one reads both. The plane is metres; north is up.
"""

from collections.abc import Iterable
from math import cos, pi, sin, sqrt
from typing import Final

from msgspec import Struct

from simulations.charts import NARROW, drawing, label, pointed, scale
from simulations.day import Day, OrderRecord, is_late
from simulations.markup import Markup, joined, tag
from simulations.wording import NBSP, count

HEAT_STEPS: Final = ((0.0, "none late"), (0.05, "to 5 %"), (0.10, "to 10 %"), (0.20, "to 20 %"))
"""Where each colour but the last begins to end, and what its key says."""
HEAT_LAST: Final = "more late"
_HEIGHT: Final = 380.0
_EDGE: Final = 26.0
_HEXAGONS_ACROSS: Final = 20
FEW: Final = 3
"""A hexagon with fewer drop-offs has no colour, because a single late one says little."""


class Neighbourhood(Struct, frozen=True):
    """A hexagon of the map: its middle, its drop-offs, and how many of them came late."""

    x_m: float
    y_m: float
    delivered: int
    late: int

    @property
    def late_share(self) -> float:
        """The share of the drop-offs that came late."""
        return self.late / self.delivered


class _Plane(Struct, frozen=True):
    """Fits metres into the drawing."""

    west_m: float
    north_m: float
    px_per_m: float
    left: float
    top: float

    def at(self, x_m: float, y_m: float) -> tuple[float, float]:
        return (
            self.left + (x_m - self.west_m) * self.px_per_m,
            self.top + (self.north_m - y_m) * self.px_per_m,
        )


def city_map(day: Day) -> Markup:
    """Return the map; empty when nothing was delivered."""
    delivered = [order for order in day.orders if order.delivered_at is not None]
    if not delivered:
        return joined(())
    plane = _plane_of(day, delivered)
    size_m = (NARROW - 2 * _EDGE) / plane.px_per_m / _HEXAGONS_ACROSS / sqrt(3)
    places = neighbourhoods(delivered, size_m)
    said = (
        f"Map of {day.setting.city}: {count(len(day.setting.restaurants), 'restaurant')} and "
        f"{count(len(delivered), 'drop-off')} in {count(len(places), 'neighbourhood')}, "
        "each coloured by how many came late."
    )
    return drawing(
        said,
        NARROW,
        _HEIGHT,
        joined(_hexagons(places, plane, size_m)),
        joined(_restaurants(day, plane)),
        _scale_bar(plane),
    )


def heat(late_share: float) -> int:
    """Return the step of the colour scale, 0 for none late, up to 4."""
    return sum(late_share > limit for limit, _ in HEAT_STEPS)


def neighbourhoods(orders: Iterable[OrderRecord], size_m: float) -> list[Neighbourhood]:
    """Return the hexagons, of `size_m` from middle to corner, that hold delivered orders."""
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    for order in orders:
        cell = _cell_of(order.x_m, order.y_m, size_m)
        delivered, late = counts.get(cell, (0, 0))
        counts[cell] = (delivered + 1, late + is_late(order))
    return [
        Neighbourhood(size_m * sqrt(3) * (q + r / 2), size_m * 1.5 * r, delivered, late)
        for (q, r), (delivered, late) in sorted(counts.items())
    ]


def _cell_of(x_m: float, y_m: float, size_m: float) -> tuple[int, int]:
    """Return the axial coordinates of the pointy-topped hexagon a place is in, by cube rounding."""
    r = y_m / (1.5 * size_m)
    q = x_m / (sqrt(3) * size_m) - r / 2
    near_q, near_r, near_s = round(q), round(r), round(-q - r)
    off_q, off_r, off_s = abs(near_q - q), abs(near_r - r), abs(near_s + q + r)
    if off_q > off_r and off_q > off_s:
        near_q = -near_r - near_s
    elif off_r > off_s:
        near_r = -near_q - near_s
    return near_q, near_r


def _plane_of(day: Day, orders: Iterable[OrderRecord]) -> _Plane:
    spots = [(it.x_m, it.y_m) for it in (*orders, *day.setting.restaurants)]
    west_m, east_m = min(x for x, _ in spots), max(x for x, _ in spots)
    south_m, north_m = min(y for _, y in spots), max(y for _, y in spots)
    wide_m, high_m = max(1.0, east_m - west_m), max(1.0, north_m - south_m)
    px_per_m = min((NARROW - 2 * _EDGE) / wide_m, (_HEIGHT - 2 * _EDGE) / high_m)
    left, top = (NARROW - wide_m * px_per_m) / 2, (_HEIGHT - high_m * px_per_m) / 2
    return _Plane(west_m, north_m, px_per_m, left, top)


def _hexagons(places: list[Neighbourhood], plane: _Plane, size_m: float) -> Iterable[Markup]:
    most = max(place.delivered for place in places)
    for place in places:
        size = size_m * plane.px_per_m * (0.35 + 0.6 * sqrt(place.delivered / most))
        x, y = plane.at(place.x_m, place.y_m)
        drawn = tag("path", d=_hexagon(x, y, size), class_=f"hex {_look(place)}")
        said = f"{count(place.delivered, 'drop-off')}, {100 * place.late_share:.0f}{NBSP}% late"
        yield pointed(drawn, label(8, 16, said, "readout"))


def _look(place: Neighbourhood) -> str:
    return "few" if place.delivered < FEW else f"h{heat(place.late_share)}"


def _hexagon(x: float, y: float, size: float) -> str:
    corners = (pi / 6 + corner * pi / 3 for corner in range(6))
    points = (f"{x + size * cos(turn):.1f} {y + size * sin(turn):.1f}" for turn in corners)
    return f"M{'L'.join(points)}Z"


def _restaurants(day: Day, plane: _Plane) -> Iterable[Markup]:
    for restaurant in day.setting.restaurants:
        x, y = plane.at(restaurant.x_m, restaurant.y_m)
        dot = tag("circle", cx=x, cy=y, r=2.6, class_="restaurant")
        yield pointed(dot, label(8, 16, restaurant.name, "readout"))


def _scale_bar(plane: _Plane) -> Markup:
    length_m = scale(NARROW / 4 / plane.px_per_m, 1)[-1]
    left, y = 10.0, _HEIGHT - 12.0
    right = left + length_m * plane.px_per_m
    said = f"{length_m / 1000:g}{NBSP}km" if length_m >= 1000 else f"{length_m:g}{NBSP}m"  # noqa: PLR2004 - metres in a kilometre.
    way = f"M{left:.1f} {y - 4:.1f}v4H{right:.1f}v-4"
    return joined((tag("path", d=way, class_="scale"), label(right + 6, y + 2, said, "axis")))
