"""A node's clock: the database's time, steadily."""

from dispatch.ids import Instant
from node.clock import WAIT_S_MAX, NodeClock, steady_s, wall

NOON = Instant(1_800_000_000_000)


class Hands:
    """A steady clock that a test turns."""

    def __init__(self) -> None:
        self.at_s = 50.0

    def __call__(self) -> float:
        return self.at_s


def test_time_goes_on_with_the_steady_clock_whatever_the_wall_clock_says() -> None:
    hands = Hands()
    clock = NodeClock(NOON, hands)

    hands.at_s += 3.5

    assert clock() == NOON + 3_500


def test_the_clock_is_set_to_the_middle_of_the_round_trip() -> None:
    hands = Hands()
    clock = NodeClock(NOON, hands)

    clock.set(Instant(NOON + 10_000), asked_s=50.0, answered_s=50.5)
    hands.at_s = 51.0

    assert clock() == NOON + 10_750


def test_a_clock_that_is_set_back_waits_and_never_runs_backwards() -> None:
    hands = Hands()
    clock = NodeClock(NOON, hands)
    before = clock()

    clock.set(Instant(NOON - 1_000), asked_s=50.0, answered_s=50.0)
    at_once = clock()
    hands.at_s = 52.0

    assert at_once == before
    assert clock() == NOON + 1_000


def test_a_wall_clock_an_hour_ahead_is_forgotten_once_the_clock_is_set() -> None:
    hands = Hands()
    clock = NodeClock(Instant(NOON + 3_600_000), hands)

    clock.set(NOON, asked_s=50.0, answered_s=50.0)
    hands.at_s = 51.0

    assert clock() == NOON + 1_000


def test_an_answer_that_took_long_does_not_set_the_clock() -> None:
    hands = Hands()
    clock = NodeClock(NOON, hands)

    clock.set(Instant(NOON + 10_000), asked_s=50.0, answered_s=50.1 + WAIT_S_MAX)

    assert clock() == NOON


def test_the_machine_s_clocks_are_clocks() -> None:
    first = steady_s()

    assert steady_s() >= first
    assert abs(NodeClock()() - wall()) < 1_000
