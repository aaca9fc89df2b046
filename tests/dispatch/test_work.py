"""What a courier has done in his shift is counted, and he does not work without end."""

import pytest
from msgspec import structs

from dispatch.ids import Instant, after
from dispatch.policy import Safety
from dispatch.work import Stint, Work, begun, counted, has_rested, stint, worked_s

HOUR_S = 3_600.0
SAFETY = Safety(shift_s_max=12 * HOUR_S, stretch_s_max=6 * HOUR_S, rest_s=1_800)
NOW = Instant(1_000_000_000)


def later(hours: float) -> Instant:
    return after(NOW, hours * HOUR_S)


def turned(work: Work, *turns: tuple[float, bool]) -> Work:
    """The counts after he has begun to work, or stopped, at these hours."""
    for hours, is_working in turns:
        work = counted(work, later(hours), SAFETY, is_working=is_working)
    return work


FRESH = begun(None, NOW, SAFETY)


def test_work_is_what_he_did_and_what_he_is_at() -> None:
    work = turned(FRESH, (1, True), (2, False), (3, True))

    assert worked_s(work, later(3)) == HOUR_S
    assert worked_s(work, later(3.5)) == 1.5 * HOUR_S


def test_going_on_with_what_he_does_changes_no_count() -> None:
    work = turned(FRESH, (1, True))

    assert counted(work, later(2), SAFETY, is_working=True) == work


def test_deliveries_are_counted_while_he_works_and_when_he_is_done() -> None:
    work = counted(turned(FRESH, (1, True)), later(2), SAFETY, is_working=True, delivered=1)
    done = counted(work, later(3), SAFETY, is_working=False, delivered=2)

    assert (work.delivered, done.delivered) == (1, 3)
    assert not done.is_working


@pytest.mark.parametrize(("idle_h", "rests"), [(0.49, False), (0.5, True)])
def test_nothing_to_do_for_long_enough_is_a_rest(idle_h: float, rests: bool) -> None:  # noqa: FBT001
    work = turned(FRESH, (0, True), (4, False))

    assert has_rested(work, later(4 + idle_h), SAFETY) is rests
    again = turned(work, (4 + idle_h, True))
    assert again.stretch_at == (later(4 + idle_h) if rests else NOW)


def test_a_shift_bounds_what_may_be_picked_up_whenever_it_was_to_end() -> None:
    rested = turned(FRESH, (0, True), (5, False))

    assert stint(FRESH, later(4), NOW, SAFETY) == Stint(NOW, later(4))
    assert stint(FRESH, later(20), NOW, SAFETY) == Stint(NOW, later(6))
    assert stint(rested, later(20), later(8), SAFETY) == Stint(later(8), later(12))


def test_who_works_without_a_rest_gets_nothing_for_after_his_stretch() -> None:
    work = turned(FRESH, (0, True), (2, False), (2.25, True))

    assert stint(work, later(11), later(3), SAFETY) == Stint(later(3), later(6))
    assert stint(work, later(11), later(7), SAFETY).off_at < later(7)


def test_who_is_past_his_stretch_gets_nothing_until_he_has_rested() -> None:
    work = turned(FRESH, (0, True), (6.25, False))

    assert stint(work, later(11), later(6.5), SAFETY) == Stint(later(6.75), later(11))
    assert stint(work, later(11), later(6.75), SAFETY) == Stint(later(6.75), later(11))


def test_a_shift_begun_before_he_has_rested_goes_on_with_its_counts() -> None:
    work = structs.replace(turned(FRESH, (0, True), (5, False)), delivered=9)

    assert begun(work, later(5.25), SAFETY) == work
    assert begun(work, later(6), SAFETY) == Work(
        since=later(6), turned_at=later(6), stretch_at=later(6)
    )
