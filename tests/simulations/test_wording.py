"""How numbers, differences and verdicts read to a person."""

from collections.abc import Callable

import pytest

from dispatch.ids import Instant
from simulations import wording
from simulations.day import Day
from simulations.measures import Unit


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1_204, Unit.COUNT, "1,204"),
        (0.0416, Unit.SHARE, "4.2 %"),
        (1_566, Unit.WAIT, "26.1 min"),
        (20.94, Unit.SECONDS, "20.9 s"),
        (8.817, Unit.MILLISECONDS, "8.82 ms"),
        (6.034, Unit.KILOMETRES, "6.03 km"),
        (1_009.4, Unit.RATIO, "1,009"),
        (None, Unit.SHARE, "–"),  # noqa: RUF001 - the dash is the answer.
    ],
)
def test_a_number_carries_its_unit(value: float | None, unit: Unit, said: str) -> None:
    assert wording.in_unit(value, unit).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("value", "base", "unit", "said"),
    [
        (12, 10, Unit.COUNT, "+2"),
        (0.05, 0.342, Unit.SHARE, "-29.2 pp"),
        (75.0, 100.0, Unit.WAIT, "-25 %"),
        (5.0, 5.0, Unit.WAIT, ""),
        (None, 5.0, Unit.WAIT, ""),
    ],
)
def test_a_difference_is_told_in_its_own_way(
    value: float | None, base: float | None, unit: Unit, said: str
) -> None:
    assert wording.difference(value, base, unit).replace("\u00a0", " ") == said


def test_the_clock_is_the_citys() -> None:
    assert wording.clock(Instant(1_772_812_800_000), 3_600) == "17:00"
    assert wording.date(Instant(1_772_812_800_000), 3_600) == "Friday 6 March 2026"


def test_the_verdict_names_who_was_served_and_who_was_not(evening: Day) -> None:
    said = wording.verdict(evening).replace("\u00a0", " ")

    assert said.startswith("881 of 900 orders reached their customers, half of them within ")
    assert said.endswith("7 orders found no courier.")


def test_a_day_on_which_nothing_arrived_is_called_so(day_of: Callable[..., Day]) -> None:
    nothing = day_of(orders=0)

    assert "None of 0" in wording.verdict(nothing)


def test_the_best_policy_is_the_one_with_the_lowest_penalised_click_to_door(
    three_evenings: tuple[Day, ...],
) -> None:
    assert wording.best_day(three_evenings).setting.policy == "insert"
    assert wording.verdict_of_many(three_evenings).startswith("insert served the day best")


def test_a_name_cannot_steer_a_terminal() -> None:
    assert wording.printable("Æ\x1b[2Jby\nB") == "Æ [2Jby B"
    assert wording.in_ascii("København 5\u00a0%") == "K?benhavn 5 %"
