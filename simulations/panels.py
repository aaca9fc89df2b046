"""The panels of a report, each of which draws one side of a day.

A panel is a `figure` element: a title, a sentence that says what it shows, the chart and, folded
away, the same figures as a table. A panel for which nothing was measured is empty. Which panels
there are, and in which order, is the report's business.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from dispatch.ids import Instant, RestaurantId, elapsed_s
from simulations import wording
from simulations.charts import (
    WIDE,
    Column,
    Notch,
    Readout,
    Series,
    column_chart,
    line_chart,
    plain,
)
from simulations.citymap import FEW, HEAT_LAST, HEAT_STEPS, city_map
from simulations.day import (
    Day,
    OrderRecord,
    Sample,
    click_to_door_s,
    is_late,
    ready_to_pickup_s,
)
from simulations.figures import bins, figures, late_by_hour, mean, percentile
from simulations.markup import NOTHING, Markup, joined, tag, text
from simulations.measures import Unit
from simulations.wording import NBSP, best_day

_BIN_S: Final = 120.0
_BINS_MAX: Final = 46
_ROWS_MAX: Final = 50
_HOURS_MAX: Final = 48
_BUCKETS: Final = 72
_CURVE_S: Final = 5_400.0
_CURVE_POINTS: Final = 60
_RESTAURANTS_MAX: Final = 12
_ORDERS_MIN: Final = 5
_OTHER_LOOKS: Final = ("second dashed", "third dotted", "soft", "bad dashed", "ink dotted")

type Row = Sequence[str]


class Key(Struct, frozen=True):
    """What a colour or a kind of line of a chart stands for; `look` is a class of the sheet."""

    look: str
    name: str


def course(day: Day) -> Markup:
    """Return open orders and couriers over the day."""
    if not day.samples:
        return NOTHING
    peak = max(day.samples, key=lambda sample: sample.open_orders)
    said = (
        f"Most orders were open at {_clock(day, peak.at)}: {peak.open_orders:,}, "
        f"with {peak.busy:,} of {wording.count(peak.on_shift, 'courier')} busy."
    )
    series = (
        Series(
            points=_points(day, [it.open_orders for it in day.samples]), look="main", is_filled=True
        ),
        Series(points=_points(day, [it.on_shift for it in day.samples]), look="second dashed"),
        Series(points=_points(day, [it.busy for it in day.samples]), look="second"),
    )
    readouts = [Readout(_share(day, sample.at), _stand(day, sample)) for sample in day.samples]
    broad = line_chart(said, series, _clock_notches(day, 12), readouts, width=WIDE)
    narrow = line_chart(said, series, _clock_notches(day, 6), readouts)
    drawn = (tag("div", broad, class_="broad"), tag("div", narrow, class_="narrow"))
    key = (
        Key("main", "open orders"),
        Key("stroke second", "couriers busy"),
        Key("stroke dashed second", "couriers on shift"),
    )
    return _panel("Orders and couriers", said, joined(drawn), _course_table(day), key, "wide")


def waiting(day: Day) -> Markup:
    """Return how many orders had no courier, over the day."""
    if not day.samples:
        return NOTHING
    peak = max(day.samples, key=lambda sample: sample.waiting)
    said = f"At most {wording.count(peak.waiting, 'order')}, at {_clock(day, peak.at)}."
    line = Series(
        points=_points(day, [it.waiting for it in day.samples]), look="second", is_filled=True
    )
    readouts = [
        Readout(_share(day, it.at), f"{_clock(day, it.at)}  {wording.count(it.waiting, 'order')}")
        for it in day.samples
    ]
    drawn = line_chart(said, [line], _clock_notches(day, 6), readouts)
    return _panel("Orders without a courier", said, drawn, _course_table(day))


def click_to_door(day: Day) -> Markup:
    """Return how long orders took, as a histogram with its median and its ninth tenth."""
    took_s = sorted(_known(click_to_door_s(order) for order in day.orders))
    if not took_s:
        return NOTHING
    counts = bins(took_s, _BIN_S, _BINS_MAX)
    half_s, most_s = percentile(took_s, 0.5) or 0.0, percentile(took_s, 0.9) or 0.0
    said = f"Half of the orders took {_wait(half_s)} or less, nine in ten {_wait(most_s)} or less."
    whole_s = len(counts) * _BIN_S
    spans = [_span(number) for number in range(len(counts))]
    columns = [
        Column(value=held, readout=f"{span}: {wording.count(held, 'order')}")
        for span, held in zip(spans, counts, strict=True)
    ]
    notches = [
        Notch(at_s / whole_s, f"{at_s // 60}{NBSP}min" if at_s else "0")
        for at_s in range(0, int(whole_s) + 1, 600 if whole_s <= 3_600 else 900)  # noqa: PLR2004 - an hour.
    ]
    rules = [
        Notch(min(1.0, half_s / whole_s), f"median {_wait(half_s)}"),
        Notch(min(1.0, most_s / whole_s), f"90{NBSP}% {_wait(most_s)}"),
    ]
    drawn = column_chart(said, columns, notches, rules=rules)
    rows = [(span, f"{held:,}") for span, held in zip(spans, counts, strict=True)]
    return _panel("From click to door", said, drawn, table(("Took", "Orders"), rows))


def lateness(day: Day) -> Markup:
    """Return the share of late deliveries, by the hour they were promised in."""
    hours = list(late_by_hour(day).items())[:_HOURS_MAX]
    if not hours:
        return NOTHING
    values = figures(day)
    said = f"{wording.in_unit(values.late_share, Unit.SHARE)} of all deliveries came late"
    said += (
        f", by {wording.in_unit(values.late_s_mean, Unit.WAIT)} on average."
        if values.late_share
        else "."
    )
    rows = [
        (
            _clock(day, at),
            f"{late:,}",
            f"{delivered:,}",
            wording.in_unit(late / delivered, Unit.SHARE),
        )
        for at, (late, delivered) in hours
    ]
    has_labels = len(hours) <= 12  # noqa: PLR2004 - as many labels as have room beside each other.
    columns = [
        Column(
            value=late / delivered,
            label=f"{100 * late / delivered:.0f}{NBSP}%" if has_labels else "",
            readout=f"from {_clock(day, at)}: {late:,} of {delivered:,} late",
        )
        for at, (late, delivered) in hours
    ]
    every = -(-len(hours) // 8)
    notches = [
        Notch((number + 0.5) / len(hours), _clock(day, at))
        for number, (at, _) in enumerate(hours)
        if number % every == 0
    ]
    drawn = column_chart(said, columns, notches, look="bad", as_label=_per_cent)
    head = ("Promised from", "Late", "Delivered", "Share late")
    return _panel("Late, by the hour promised", said, drawn, table(head, rows))


def rounds(day: Day) -> Markup:
    """Return how long rounds took by the real clock: the slowest and the median of each stretch."""
    if not day.rounds:
        return NOTHING
    values = figures(day)
    said = (
        f"{wording.count(values.rounds, 'round')}: half had their plan within "
        f"{wording.in_unit(values.round_ms_p50, Unit.MILLISECONDS)}, 99{NBSP}% within "
        f"{wording.in_unit(values.round_ms_p99, Unit.MILLISECONDS)}."
    )
    stretches = _stretches(day)
    series = (
        Series(points=[(at, slow) for at, _, slow in stretches], look="soft"),
        Series(points=[(at, half) for at, half, _ in stretches], look="main", is_filled=True),
    )
    readouts = [
        Readout(at, f"{_clock_at(day, at)}  median {_ms(half)}, slowest {_ms(slow)}")
        for at, half, slow in stretches
    ]
    drawn = line_chart(said, series, _clock_notches(day, 6), readouts, as_label=_ms_level)
    key = (Key("main", "median"), Key("stroke soft", "slowest of each stretch"))
    rows = [(_clock_at(day, at), _ms(half), _ms(slow)) for at, half, slow in stretches]
    shown = table(("At", "Median", "Slowest"), _thinned(rows))
    return _panel("Time to plan a round", said, drawn, shown, key)


def places(day: Day) -> Markup:
    """Return the map of drop-offs and restaurants."""
    drawn = city_map(day)
    if not drawn:
        return NOTHING
    said = (
        "Where food was brought: a larger hexagon had more drop-offs, a redder one more late ones."
    )
    if day.setting.attribution:
        said += f" {day.setting.attribution}."
    names = (*(name for _, name in HEAT_STEPS), HEAT_LAST)
    key = (
        *(Key(f"h{step}", name) for step, name in enumerate(names)),
        Key("few", f"fewer than {FEW} drop-offs"),
        Key("dot", "restaurant"),
    )
    return _panel("The city", said, drawn, NOTHING, key)


def restaurants(day: Day) -> Markup:
    """Return the restaurants whose orders came late most often, as a table."""
    names = {it.restaurant_id: it.name for it in day.setting.restaurants}
    orders_of: dict[RestaurantId, list[OrderRecord]] = {}
    for order in day.orders:
        if order.delivered_at is not None and order.restaurant_id in names:
            orders_of.setdefault(order.restaurant_id, []).append(order)
    known = [
        (names[key], orders) for key, orders in orders_of.items() if len(orders) >= _ORDERS_MIN
    ]
    if not known:
        return NOTHING
    known.sort(key=lambda entry: (-_late_share(entry[1]), entry[0]))
    head = ("Restaurant", "Delivered", "Late", "Food waited")
    rows = [_restaurant_row(name, orders) for name, orders in known[:_RESTAURANTS_MAX]]
    said = f"Late most often, of those with {_ORDERS_MIN} deliveries and more."
    return _panel("Restaurants to look at", said, table(head, rows), NOTHING)


def curves(days: Sequence[Day]) -> Markup:
    """Return, for several policies, what share of all orders was at the door by when."""
    said = "Share of all orders that were at the door after so many minutes; higher is better."
    looks = _looks(days)
    series = [Series(points=_curve(day), look=look) for day, look in looks]
    key = [Key(f"stroke {look}", day.setting.policy) for day, look in looks]
    minutes = [
        round(_CURVE_S * point / _CURVE_POINTS / 60, 1) for point in range(_CURVE_POINTS + 1)
    ]
    columns = [[_per_cent(value) for _, value in one.points] for one in series]
    rows = [(f"{at:g}{NBSP}min", *shares) for at, *shares in zip(minutes, *columns, strict=True)]
    readouts = [
        Readout(
            number / _CURVE_POINTS,
            ", ".join(
                [row[0], *(f"{one.name} {it}" for one, it in zip(key, row[1:], strict=True))]
            ),
        )
        for number, row in enumerate(rows)
    ]
    notches = [Notch(at / 90, f"{at}{NBSP}min" if at else "0") for at in range(0, 91, 15)]
    broad = line_chart(said, series, notches, readouts, width=WIDE, as_label=_per_cent)
    narrow = line_chart(said, series, notches[::2], readouts, as_label=_per_cent)
    drawn = (tag("div", broad, class_="broad"), tag("div", narrow, class_="narrow"))
    head = ("By", *(one.name for one in key))
    return _panel("At the door by then", said, joined(drawn), table(head, rows[::4]), key, "wide")


def table(head: Row, rows: Iterable[Row]) -> Markup:
    """Return a table whose first column names its rows, scrolling sideways where it must."""
    first = tag("tr", *(tag("th", text(name), scope="col") for name in head))
    lines = [
        tag(
            "tr",
            tag("th", text(row[0]), scope="row", class_="name"),
            *(tag("td", text(cell)) for cell in row[1:]),
        )
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", first), tag("tbody", *lines)), class_="scroll")


def _panel(
    title: str,
    said: str,
    drawn: Markup,
    shown: Markup,
    key: Sequence[Key] = (),
    look: str = "",
) -> Markup:
    caption = tag("figcaption", tag("h3", text(title)), tag("p", text(said)), _key(key))
    folded = tag("details", tag("summary", text("The figures as a table")), shown)
    return tag("figure", caption, drawn, folded if shown else NOTHING, class_=look)


def _key(key: Sequence[Key]) -> Markup:
    if not key:
        return NOTHING
    entries = (
        tag("li", tag("i", class_=one.look, aria_hidden="true"), text(one.name)) for one in key
    )
    return tag("ul", *entries, class_="key")


def _course_table(day: Day) -> Markup:
    head = ("At", "Open orders", "Without courier", "Busy", "On shift", "Quiet")
    rows = [
        (
            _clock(day, it.at),
            *map(str, (it.open_orders, it.waiting, it.busy, it.on_shift, it.quiet)),
        )
        for it in day.samples
    ]
    return table(head, _thinned(rows))


def _thinned(rows: Sequence[Row]) -> Sequence[Row]:
    return rows[:: -(-len(rows) // _ROWS_MAX)] if rows else rows


def _stand(day: Day, sample: Sample) -> str:
    orders = wording.count(sample.open_orders, "open order")
    return (
        f"{_clock(day, sample.at)}  {orders}, {sample.busy:,} of {sample.on_shift:,} couriers busy"
    )


def _points(day: Day, values: Sequence[float]) -> list[tuple[float, float]]:
    shares = [_share(day, sample.at) for sample in day.samples]
    return list(zip(shares, values, strict=True))


def _stretches(day: Day) -> list[tuple[float, float, float]]:
    """Return, for each stretch of the day with rounds, its share, median and slowest, in ms."""
    held: dict[int, list[float]] = {}
    for one in day.rounds:
        bucket = min(_BUCKETS - 1, int(_share(day, one.at) * _BUCKETS))
        held.setdefault(bucket, []).append(one.took_ms)
    return [
        ((bucket + 0.5) / _BUCKETS, percentile(sorted(took_ms), 0.5) or 0.0, max(took_ms))
        for bucket, took_ms in sorted(held.items())
    ]


def _looks(days: Sequence[Day]) -> list[tuple[Day, str]]:
    """Return how each day's line is drawn, the best one's fullest; as many as can be told apart."""
    winner = best_day(days)
    others = [day for day in days if day is not winner]
    return [(winner, "main"), *zip(others, _OTHER_LOOKS, strict=False)]


def _curve(day: Day) -> list[tuple[float, float]]:
    """Return the share of all orders delivered by then, those never delivered counted as not."""
    wanted = [order for order in day.orders if order.wanted_at is None]
    took_s = _known(click_to_door_s(order) for order in wanted)
    counts = bins(took_s, _CURVE_S / _CURVE_POINTS, _CURVE_POINTS + 1)
    total, points = 0, [(0.0, 0.0)]
    for number in range(_CURVE_POINTS):
        total += counts[number] if number < len(counts) else 0
        points.append(((number + 1) / _CURVE_POINTS, total / max(1, len(wanted))))
    return points


def _restaurant_row(name: str, orders: Sequence[OrderRecord]) -> Row:
    waited_s = mean(_known(ready_to_pickup_s(order) for order in orders))
    late = wording.in_unit(_late_share(orders), Unit.SHARE)
    return name, f"{len(orders):,}", late, wording.in_unit(waited_s, Unit.WAIT)


def _late_share(orders: Sequence[OrderRecord]) -> float:
    return sum(map(is_late, orders)) / len(orders)


def _clock_notches(day: Day, notches_max: int) -> list[Notch]:
    """Return notches at whole hours of the city's clocks, no more than `notches_max`."""
    offset_ms = day.setting.utc_offset_s * 1000
    hours = elapsed_s(day.setting.starts_at, day.ends_at) / 3600
    every_ms = 3_600_000 * next(
        (step for step in (1, 2, 3, 4, 6, 12) if hours / step < notches_max), 24
    )
    first = -(-(day.setting.starts_at + offset_ms) // every_ms) * every_ms - offset_ms
    instants = (Instant(at) for at in range(first, day.ends_at + 1, every_ms))
    return [Notch(_share(day, at), _clock(day, at)) for at in instants]


def _share(day: Day, at: Instant) -> float:
    whole_s = elapsed_s(day.setting.starts_at, day.ends_at) or 1.0
    return min(1.0, max(0.0, elapsed_s(day.setting.starts_at, at) / whole_s))


def _clock(day: Day, at: Instant) -> str:
    return wording.clock(at, day.setting.utc_offset_s)


def _clock_at(day: Day, share: float) -> str:
    whole_ms = day.ends_at - day.setting.starts_at
    return _clock(day, Instant(day.setting.starts_at + round(share * whole_ms)))


def _span(number: int) -> str:
    low = round(number * _BIN_S / 60)
    if number == _BINS_MAX - 1:
        return f"{low}{NBSP}min and more"
    return f"{low} to {low + round(_BIN_S / 60)}{NBSP}min"


def _wait(seconds: float) -> str:
    return wording.in_unit(seconds, Unit.WAIT)


def _ms(value: float) -> str:
    return wording.in_unit(value, Unit.MILLISECONDS)


def _ms_level(value: float) -> str:
    return f"{plain(value)}{NBSP}ms"


def _per_cent(share: float) -> str:
    return f"{100 * share:.3g}{NBSP}%"


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
