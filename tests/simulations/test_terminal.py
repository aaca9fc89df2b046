"""What a person, or a pipe, is shown of a day."""

from collections.abc import Callable, Sequence
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from simulations.day import Day
from simulations.measures import MEASURES
from simulations.terminal import show


def printed(days: Sequence[Day], width: int = 80, *, is_terminal: bool = False) -> str:
    paper = StringIO()
    console = Console(file=paper, width=width, force_terminal=is_terminal, _environ={})
    show(console, days)
    return paper.getvalue()


def test_a_day_fits_into_eighty_columns(evening: Day) -> None:
    lines = printed([evening]).splitlines()

    assert max(map(len, lines)) <= 80


def test_a_comparison_fits_into_eighty_columns(three_evenings: tuple[Day, ...]) -> None:
    lines = printed(three_evenings).splitlines()

    assert max(map(len, lines)) <= 80


def test_a_pipe_gets_no_colours(evening: Day) -> None:
    assert "\x1b" not in printed([evening])
    assert "\x1b" in printed([evening], is_terminal=True)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_figure_is_shown_whatever_the_width(evening: Day, width: int) -> None:
    said = printed([evening], width)

    assert [measure.title for measure in MEASURES.values() if measure.title not in said] == []


def test_the_plots_name_their_peaks_and_ends(evening: Day) -> None:
    said = printed([evening])
    peak = max(sample.open_orders for sample in evening.samples)

    assert f"peak {peak} at " in said
    assert "17:00 " in said
    assert "23:00" in said


def test_the_bars_hold_every_delivered_order(evening: Day) -> None:
    bars = [line for line in printed([evening]).splitlines() if line.endswith(("orders", "order"))]
    held = [int(line.replace("\u00a0", " ").split()[-2]) for line in bars if " min " in line]

    assert sum(held) == 881


def test_the_best_is_marked_without_colour(three_evenings: tuple[Day, ...]) -> None:
    lines = printed(three_evenings).replace("\u00a0", " ").splitlines()
    late = next(line for line in lines if "Delivered late" in line)

    assert late.count("✓") == 1
    assert late.index("✓") > late.index("pp")


def test_more_policies_than_fit_come_in_further_tables(day_of: Callable[..., Day]) -> None:
    days = [day_of(policy=f"policy-{number}", orders=50, seed=number) for number in range(4)]

    lines = printed(days).splitlines()

    heads = [line.split() for line in lines if line.strip().startswith("policy-0")]
    assert heads == [["policy-0", "policy-1", "policy-2"], ["policy-0", "policy-3"]]


def test_a_day_without_orders_is_still_shown(day_of: Callable[..., Day]) -> None:
    said = printed([day_of(orders=0)])

    assert "None of 0" in said
    assert "Click to door, mean" in said


def test_a_terminal_without_unicode_gets_ascii(evening: Day) -> None:
    paper = TextIOWrapper(BytesIO(), encoding="ascii")

    show(Console(file=paper, width=80), [evening])

    paper.seek(0)
    said = paper.read()
    assert "24.9 min" in said
    assert "#####" in said
    assert "?" not in said


def test_a_hostile_city_cannot_steer_the_terminal(day_of: Callable[..., Day]) -> None:
    hostile = day_of(orders=20, city="\x1b[2J[bold]Gotham[/bold]\n\nfake line")

    said = printed([hostile])

    assert "\x1b" not in said
    assert said.splitlines()[0].startswith("[2J[bold]Gotham[/bold] fake line")
