"""The heap of alarms by itself: what rings when, and what is thrown away."""

from actors.timers import REBUILD_MIN, Alarm, Timers
from dispatch.ids import Instant


def alarm(at: int, key: str = "ann") -> Alarm:
    """Return an alarm."""
    return Alarm(Instant(at), "account", key)


def test_alarms_ring_in_the_order_of_their_instants() -> None:
    timers = Timers(lambda _: True)
    for at in (30, 10, 20):
        timers.set(alarm(at))

    rung = [timers.find_due(Instant(20)) for _ in range(3)]

    assert rung == [alarm(10), alarm(20), None]
    assert timers.next_at() == 30


def test_a_forgotten_alarm_does_not_ring() -> None:
    timers = Timers(lambda _: True)
    for key in ("ann", "bob"):
        timers.set(alarm(10, key))

    timers.forget(alarm(10, "ann"))
    rung = [timers.find_due(Instant(10)) for _ in range(2)]

    assert rung == [alarm(10, "bob"), None]


def test_alarms_set_twice_ring_once_after_the_heap_was_rebuilt() -> None:
    timers = Timers(lambda _: True)

    for _ in range(REBUILD_MIN + 1):
        timers.set(alarm(10))
    count = len(timers)

    assert count == 2


def test_the_heap_keeps_only_alarms_that_are_meant() -> None:
    timers = Timers(lambda alarm: alarm.at % 2 == 0)

    for at in range(4 * REBUILD_MIN):
        timers.set(alarm(at))
    count = len(timers)
    rung = list(iter(lambda: timers.find_due(Instant(10)), None))

    assert count < 3.1 * REBUILD_MIN
    assert [found.at for found in rung] == [0, 2, 4, 6, 8, 10]
