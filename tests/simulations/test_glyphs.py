"""Plots made of characters, against shapes one can see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.glyphs import ASCII, Canvas, bar, hill, resampled, spark


def test_a_spark_rises_with_its_values() -> None:
    assert spark([0, 1, 2, 4, 8], 5) == " ▁▂▄█"


def test_a_hill_fills_from_the_bottom() -> None:
    assert hill([0, 1, 2], 3, 2) == ("  █", " ██")


def test_a_spark_of_nothing_is_empty() -> None:
    assert spark([], 4) == "    "
    assert spark([0, 0], 4) == "    "


@pytest.mark.parametrize(("share", "drawn"), [(0, "    "), (0.5, "██  "), (1, "████"), (9, "████")])
def test_a_bar_fills_its_share(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_a_bar_shows_that_there_was_something() -> None:
    assert bar(0.0001, 4) == "▏   "
    assert bar(0.0001, 4, ASCII) == "#   "


@given(st.lists(st.floats(0, 1e6), max_size=99), st.integers(1, 60), st.integers(1, 5))
def test_a_plot_has_the_size_that_was_asked(values: list[float], width: int, height: int) -> None:
    lines = hill(values, width, height)

    assert len(lines) == height
    assert {len(line) for line in lines} == {width}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=99), st.integers(1, 60))
def test_resampling_stays_within_the_values(values: list[float], width: int) -> None:
    found = resampled(values, width)

    assert len(found) == width
    assert min(values) - 1e-6 <= min(found)
    assert max(found) <= max(values) + 1e-6


def test_dots_share_a_character_and_the_highest_layer_names_it() -> None:
    canvas = Canvas(2, 1)

    canvas.dot(0, 0, 3)
    canvas.dot(1, 3, 1)

    assert canvas.runs() == [[("\u2881", 3), (" ", -1)]]


def test_a_mark_hides_dots_and_gives_way_only_to_a_higher_one() -> None:
    canvas = Canvas(1, 1)

    canvas.dot(0, 0, 1)
    canvas.mark(0, 0, 5, "◆")
    canvas.mark(1, 1, 2, "○")

    assert canvas.runs() == [[("◆", 5)]]


def test_what_lies_outside_the_canvas_is_left_out() -> None:
    canvas = Canvas(1, 1)

    canvas.dot(2, 0, 1)
    canvas.dot(-1, 0, 1)
    canvas.mark(0, 4, 1, "x")

    assert canvas.runs() == [[(" ", -1)]]
