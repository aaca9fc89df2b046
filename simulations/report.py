"""A day, or several policies on one day, as a page to keep: one HTML file that needs nothing else.

The page has no script and asks for nothing from anywhere, and its own policy forbids it to. It
reads on a phone and on paper, in light and dark, and each chart's figures are there as a table too.
The style sheet is `report.css`; every name is escaped by the way the page is built (`markup`).
"""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Final

from simulations import panels, wording
from simulations.day import Day
from simulations.figures import best, by_name, figures
from simulations.markup import NOTHING, Markup, joined, tag, text
from simulations.measures import MEASURES, Figures, Topic
from simulations.wording import NBSP, count

_FORBIDS: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


def render(days: Sequence[Day]) -> str:
    """Return the page: of one day, or of several, the first being what others are compared with."""
    assert days, "no day to report"
    parts = _many(days) if len(days) > 1 else _one(days[0])
    page = tag("main", _header(days), *parts, _footer())
    return f"<!doctype html>\n{tag('html', _head(days), tag('body', page), lang='en')}\n"


def _head(days: Sequence[Day]) -> Markup:
    style = files("simulations").joinpath("report.css").read_text("utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_FORBIDS),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", text(f"{days[0].setting.city}, a simulated day")),
        tag("style", Markup(style)),
    )


def _header(days: Sequence[Day]) -> Markup:
    day, setting = days[0], days[0].setting
    when = f"{wording.date(setting.starts_at, setting.utc_offset_s)}, {wording.span(day)}"
    policies = ", ".join(one.setting.policy for one in days)
    sizes = (
        count(len(day.orders), "order"),
        count(len(day.couriers), "courier"),
        count(len(setting.restaurants), "restaurant"),
        f"{'policies' if len(days) > 1 else 'policy'} {policies}",
        f"seed {setting.seed}",
    )
    said = wording.verdict_of_many(days) if len(days) > 1 else wording.verdict(day)
    return tag(
        "header",
        tag("p", text(f"A simulated day, {when}"), class_="eyebrow"),
        tag("h1", text(setting.city)),
        tag("p", text(said), class_="verdict"),
        tag("p", text(" · ".join(sizes)), class_="setting"),
    )


def _day(day: Day) -> Markup:
    """The day's key figures and all its charts."""
    charts = (
        panels.course(day),
        panels.click_to_door(day),
        panels.lateness(day),
        panels.places(day),
        panels.restaurants(day),
        panels.waiting(day),
        panels.rounds(day),
    )
    return joined((_tiles(figures(day)), tag("div", *charts, class_="charts")))


def _one(day: Day) -> Iterable[Markup]:
    yield _day(day)
    yield tag("h2", text("Every figure, and what it means"))
    yield _figures_table([day])


def _many(days: Sequence[Day]) -> Iterable[Markup]:
    """All policies side by side, the best one's day at full length, the other days folded."""
    yield _comparison(days)
    winner = wording.best_day(days)
    yield tag("h2", text(f"The day under {winner.setting.policy}"))
    yield _day(winner)
    for day in days:
        if day is not winner:
            summary = tag("summary", text(f"The day under {day.setting.policy}"))
            yield tag("details", summary, _day(day), class_="day")


def _tiles(values: Figures) -> Markup:
    shown = {name: wording.shown(name, value) for name, value in by_name(values).items()}
    by = f"by {shown['late_s_mean']} on average" if values.late_share else "all of them on time"
    pace = f"{shown['virtual_s_per_s']} times real time"
    names_big_small = (
        (
            "Click to door",
            shown["click_to_door_s_p50"],
            f"median; nine in ten within {shown['click_to_door_s_p90']}",
        ),
        ("Delivered late", shown["late_share"], by),
        ("Delivered", shown["delivered"], f"of {shown['orders']}; {_losses(values)}"),
        (
            "Food waited for a courier",
            shown["ready_to_pickup_s_mean"],
            f"on average; nine in ten under {shown['ready_to_pickup_s_p90']}",
        ),
        ("Couriers busy", shown["utilisation_share"], f"{shown['couriers']} couriers on shift"),
        (
            "Orders per courier-hour",
            shown["orders_per_courier_hour"],
            f"{shown['orders_per_trip']} per trip",
        ),
        ("Driven per order", shown["km_per_order"], f"{shown['loaded_share']} of it with food"),
        (
            "A round takes",
            shown["round_ms_p50"],
            f"99{NBSP}% within {shown['round_ms_p99']}; {pace}",
        ),
    )
    return tag("dl", *(_tile(*tile) for tile in names_big_small), class_="tiles")


def _losses(values: Figures) -> str:
    lost = (
        (values.rejected, "rejected"),
        (values.canceled, "canceled"),
        (values.starved, "starved"),
        (values.failed, "failed"),
        (values.open, "still open"),
    )
    return ", ".join(f"{number:,} {name}" for number, name in lost if number) or "none lost"


def _tile(name: str, big: str, small: str) -> Markup:
    return tag(
        "div",
        tag("dt", text(name)),
        tag("dd", text(big), class_="big"),
        tag("dd", text(small), class_="small"),
        class_="tile",
    )


def _comparison(days: Sequence[Day]) -> Markup:
    """The curves of all policies, and all figures with the best of each marked."""
    base = days[0].setting.policy
    said = f"The best of each figure is marked; the small print is its distance from {base}."
    return joined(
        (
            tag("h2", text("The policies side by side")),
            tag("p", text(said), class_="setting"),
            tag("div", panels.curves(days), class_="charts"),
            _figures_table(days),
        )
    )


def _figures_table(days: Sequence[Day]) -> Markup:
    """Every figure with what it means, a column for each day."""
    policies = (tag("th", text(day.setting.policy), scope="col") for day in days)
    head = tag("tr", tag("th", text("Figure"), scope="col"), *policies)
    values = [by_name(figures(day)) for day in days]
    rows: list[Markup] = []
    for topic in Topic:
        named = tag("th", text(topic), class_="topic", scope="rowgroup", colspan=str(len(days) + 1))
        rows.append(tag("tr", named))
        about = (name for name, measure in MEASURES.items() if measure.topic is topic)
        rows += (_figure_row(name, [one[name] for one in values]) for name in about)
    body = tag("table", tag("thead", head), tag("tbody", *rows))
    look = "scroll sheet many" if len(days) > 1 else "scroll sheet"
    return tag("div", body, class_=look, tabindex="0", role="region", aria_label="All figures")


def _figure_row(name: str, values: Sequence[float | None]) -> Markup:
    measure = MEASURES[name]
    winner = best(name, values) if len(values) > 1 else None
    title = tag(
        "th", tag("span", text(measure.title)), tag("small", text(measure.meaning)), scope="row"
    )
    cells = (
        _cell(
            wording.shown(name, value),
            wording.difference(value, values[0], measure.unit),
            is_best=winner is not None and value == winner,
        )
        for value in values
    )
    return tag("tr", title, *cells)


def _cell(shown: str, change: str, *, is_best: bool) -> Markup:
    small = tag("small", text(change)) if change else NOTHING
    if not is_best:
        return tag("td", text(shown), small)
    return tag("td", text(f"{shown} ✓"), small, class_="best")


def _footer() -> Markup:
    said = (
        "Percentiles are interpolated between the two closest ranks. All but the machine's figures "
        "come out the same whenever the day is run again with the same seed."
    )
    return tag("footer", tag("p", text(said)))
