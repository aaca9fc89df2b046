"""How numbers, times and verdicts read to a person, in the terminal and in the report alike.

Every number carries its unit, joined by a no-break space; people's times are shown in minutes,
shares in per cent, and what was not measured is a dash. Days and clocks are those of the city.
Nothing here draws.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from dispatch.ids import Instant, elapsed_s
from simulations.day import Day, Setting
from simulations.figures import by_name, figures
from simulations.measures import MEASURES, Figures, Unit

NBSP: Final = "\u00a0"
ABSENT: Final = "–"  # noqa: RUF001 - an en dash is what a table shows for "nothing".


def in_unit(value: float | None, unit: Unit) -> str:
    """Return the value with its unit: `26.1 min`, `4.2 %`, `1,204`; a dash for None."""
    if value is None:
        return ABSENT
    return _AS_TEXT[unit](value)


def shown(name: str, value: float | None) -> str:
    """Return a figure of that name as it is shown."""
    return in_unit(value, MEASURES[name].unit)


def difference(value: float | None, base: float | None, unit: Unit) -> str:
    """Return how far `value` is from `base`: counts plainly, shares in points, the rest in %."""
    if value is None or base is None or value == base:
        return ""
    if unit is Unit.SHARE:
        return f"{100 * (value - base):+.1f}{NBSP}pp"
    if unit is Unit.COUNT or base == 0:
        return f"{value - base:+,.0f}"
    return f"{100 * (value / base - 1):+.0f}{NBSP}%"


def printable(name: str) -> str:
    """Return the name on one line and without anything that would steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in name).split())


def in_ascii(said: str) -> str:
    """Return the words for a terminal that has nothing but ASCII; what it lacks becomes `?`."""
    return said.translate({ord(NBSP): " ", ord(ABSENT): "-"}).encode("ascii", "replace").decode()


def count(number: int, one: str, many: str = "") -> str:
    """Return `1 order` or `1,204 orders`."""
    return f"{number:,}{NBSP}{one if number == 1 else many or one + 's'}"


def clock(at: Instant, utc_offset_s: int) -> str:
    """Return the time of day on the city's clocks, `19:40`."""
    return f"{_local(at, utc_offset_s):%H:%M}"


def date(at: Instant, utc_offset_s: int) -> str:
    """Return the day on the city's calendar, `Friday 6 March 2026`."""
    local = _local(at, utc_offset_s)
    return f"{local:%A} {local.day} {local:%B %Y}"


def span(day: Day) -> str:
    """Return from when to when the day went, `17:00 to 23:00`."""
    offset_s = day.setting.utc_offset_s
    return f"{clock(day.setting.starts_at, offset_s)} to {clock(day.ends_at, offset_s)}"


def setting_line(setting: Setting) -> str:
    """Return what it takes to run the day again."""
    return f"policy {printable(setting.policy)}, seed {setting.seed}"


def verdict(day: Day) -> str:
    """Return how the day went, in two short sentences at most."""
    values = figures(day)
    if not values.delivered:
        return f"None of {count(values.orders, 'order')} reached its customer."
    half = in_unit(values.click_to_door_s_p50, Unit.WAIT)
    within = f", half of them within {half}" if values.click_to_door_s_p50 is not None else ""
    return (
        f"{values.delivered:,} of {count(values.orders, 'order')} reached their customers{within}. "
        f"{_lateness_clause(values)}, {_starved_clause(values)}."
    )


def verdict_of_many(days: Sequence[Day]) -> str:
    """Return which policy did best, by penalised click-to-door, and by how much."""
    best = best_day(days)
    ranked = sorted(
        (value, day.setting.policy)
        for day in days
        if (value := figures(day).click_to_door_s_penalised) is not None
    )
    if len(ranked) < 2:  # noqa: PLR2004 - it takes two to compare.
        return verdict(best)
    (first_s, policy), (second_s, next_best) = ranked[:2]
    gap = in_unit(second_s - first_s, Unit.WAIT)
    return (
        f"{printable(policy)} served the day best: {in_unit(first_s, Unit.WAIT)} from click to "
        f"door, undelivered orders penalised, {gap} less than {printable(next_best)}. "
        f"{verdict(best)}"
    )


def best_day(days: Sequence[Day]) -> Day:
    """Return the day with the lowest penalised click-to-door, the first of equals."""
    assert days, "no day to choose from"

    def penalised(day: Day) -> float:
        value = by_name(figures(day))["click_to_door_s_penalised"]
        return float("inf") if value is None else value

    return min(days, key=penalised)


def hours(day: Day) -> float:
    """Return how long the day was."""
    return elapsed_s(day.setting.starts_at, day.ends_at) / 3600


def _lateness_clause(values: Figures) -> str:
    if not values.late_share:
        return "None came late"
    late = f"{in_unit(values.late_share, Unit.SHARE)} came late"
    return f"{late}, by {in_unit(values.late_s_mean, Unit.WAIT)} on average"


def _starved_clause(values: Figures) -> str:
    if not values.starved:
        return "and no order went without a courier"
    return f"and {count(values.starved, 'order')} found no courier"


def _local(at: Instant, utc_offset_s: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC) + timedelta(seconds=utc_offset_s)


def _three_digits(value: float) -> str:
    if abs(value) >= 100:  # noqa: PLR2004 - three digits before the point need none behind it.
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 - as above.


_AS_TEXT: Final[Mapping[Unit, Callable[[float], str]]] = {
    Unit.COUNT: lambda value: f"{value:,.0f}",
    Unit.SHARE: lambda value: f"{100 * value:.1f}{NBSP}%",
    Unit.WAIT: lambda value: f"{value / 60:,.1f}{NBSP}min",
    Unit.SECONDS: lambda value: f"{_three_digits(value)}{NBSP}s",
    Unit.MILLISECONDS: lambda value: f"{_three_digits(value)}{NBSP}ms",
    Unit.KILOMETRES: lambda value: f"{value:,.2f}{NBSP}km",
    Unit.RATIO: _three_digits,
}
