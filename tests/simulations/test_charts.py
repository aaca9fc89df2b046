"""Charts against the numbers they were given."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.charts import Column, Notch, Readout, Series, column_chart, line_chart, scale


@pytest.mark.parametrize(
    ("top", "levels"),
    [
        (136, [0, 50, 100, 150]),
        (4, [0, 1, 2, 3, 4]),
        (0.108, [0, 0.05, 0.1, 0.15]),
        (0, [0, 1]),
    ],
)
def test_an_axis_has_round_levels(top: float, levels: list[float]) -> None:
    assert scale(top) == pytest.approx(levels)


@given(st.floats(1e-3, 1e9))
def test_an_axis_reaches_its_top_and_not_much_further(top: float) -> None:
    levels = scale(top)

    assert levels[-1] >= top * (1 - 1e-6)
    assert len(levels) <= 6
    assert levels[-2] < top


def test_columns_are_as_high_as_their_values() -> None:
    drawn = column_chart("Orders", [Column(value=50), Column(value=100)], [])

    heights = [float(found) for found in re.findall(r'height="([\d.]+)" rx', drawn)]
    assert heights[1] == pytest.approx(2 * heights[0])


def test_a_higher_value_is_drawn_higher_and_a_later_one_further_right() -> None:
    drawn = line_chart("Orders", [Series(points=[(0, 1), (1, 4)], look="main")], [], [])

    (way,) = re.findall(r'd="M([\d. L]+)"', drawn)
    (first_x, first_y), (last_x, last_y) = (map(float, point.split()) for point in way.split("L"))
    assert first_x < last_x
    assert first_y > last_y


def test_every_value_can_be_pointed_at_without_gaps() -> None:
    readouts = [Readout(share, f"at {share}") for share in (0.0, 0.25, 1.0)]

    drawn = line_chart("Orders", [Series(points=[(0, 1), (1, 4)], look="main")], [], readouts)

    strips = re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', drawn)
    ends = [float(left) + float(width) for left, width in strips]
    assert [float(left) for left, _ in strips[1:]] == pytest.approx(ends[:-1], abs=0.2)
    assert all(f">at {readout.share}<" in drawn for readout in readouts)


def test_a_chart_says_what_it_shows_to_who_cannot_see_it() -> None:
    drawn = column_chart('At "most" <5>', [Column(value=1)], [Notch(0.5, "17:00")])

    assert 'role="img" aria-label="At &quot;most&quot; &lt;5&gt;"' in drawn
    assert ">17:00</text>" in drawn


def test_a_chart_of_nothing_is_an_empty_sheet() -> None:
    assert line_chart("Nothing", [Series(points=[], look="main")], [], []).startswith("<svg")
    assert column_chart("Nothing", [], []).startswith("<svg")
