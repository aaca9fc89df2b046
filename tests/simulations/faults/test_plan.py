"""Plans of faults: the seed decides, and over some seeds everything strikes."""

from random import Random

from dispatch.lease import NodeId
from simulations.faults.plan import EVENTS_MAX, TIMED, Fault, Weather, planned

NODES = (NodeId("a"), NodeId("b"))
SPAN_S = 100.0


def test_the_same_chance_makes_the_same_plan() -> None:
    first, same, other = (planned(Random(seed), NODES, SPAN_S) for seed in (1, 1, 2))

    assert first == same
    assert first != other


def test_blows_fall_in_their_order_within_the_span() -> None:
    for seed in range(50):
        blows = planned(Random(seed), NODES, SPAN_S).blows

        assert 0 < len(blows) <= EVENTS_MAX
        assert list(blows) == sorted(blows, key=lambda blow: blow.at_s)
        assert all(0 < blow.at_s < SPAN_S for blow in blows)


def test_between_them_the_seeds_have_every_fault() -> None:
    plans = [planned(Random(seed), NODES, SPAN_S) for seed in range(50)]

    assert {blow.fault for plan in plans for blow in plan.blows} == set(TIMED)
    shared = {fault for plan in plans for fault, share in plan.shares.items() if share > 0}
    assert shared == set(Fault) - set(TIMED)


def test_the_weather_counts_what_it_strikes_until_it_clears_up() -> None:
    weather = Weather(Random(1), {Fault.LETTER_LOST: 0.5})

    struck = sum(weather.strikes(Fault.LETTER_LOST) for _ in range(100))
    spared = sum(weather.strikes(Fault.LETTER_LATE) for _ in range(100))
    weather.clear_up()
    after = sum(weather.strikes(Fault.LETTER_LOST) for _ in range(100))

    assert 30 < struck < 70
    assert (spared, after) == (0, 0)
    assert weather.counts == {Fault.LETTER_LOST: struck}
