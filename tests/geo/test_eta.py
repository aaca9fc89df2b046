"""What a market learns of how long things take, and what it foretells from it."""

from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from geo.eta import (
    ALL,
    EVERYBODY_MAX,
    HABITS,
    OWN_MAX,
    SAID_S_MAX,
    Eta,
    Observation,
    Part,
    Phase,
    Progress,
    Told,
    expected_ready,
    observed,
    promise_s,
)
from geo.sample import LATEST_MAX

T0 = 1_800_000_000.0
PLACED = Progress(restaurant_id="rst_1", hour=18, way_s=600, placed_s=T0)
WAY = ("said_s", "ready_s", "here_s", "picked_up_s", "at_door_s", "delivered_s")


def came(**after_s: float) -> Progress:
    """Return the order with these moments, in seconds after placing."""
    return structs.replace(PLACED, **{name: T0 + value for name, value in after_s.items()})


def learned(eta: Eta, part: Part, key: str, *took: float) -> Eta:
    for one in took:
        eta = eta.learned(Observation(part, key, one))
    return eta


def width_s(eta: Eta, order: Progress, now_s: float) -> float:
    found = eta.arrival(order, now_s)
    return found.high_s - found.low_s


def test_what_happens_narrows_the_estimate() -> None:
    steps = (
        (PLACED, T0),
        (came(said_s=900), T0 + 60),
        (came(said_s=900, ready_s=900), T0 + 900),
        (came(said_s=900, ready_s=900, picked_up_s=960), T0 + 960),
        (came(said_s=900, ready_s=900, picked_up_s=960, at_door_s=1_600), T0 + 1_600),
    )

    widths_s = [width_s(Eta(), order, now_s) for order, now_s in steps]

    assert widths_s == sorted(widths_s, reverse=True)


def test_each_phase_goes_on_from_what_has_happened() -> None:
    late = came(said_s=600, ready_s=2_400)

    found = Eta().arrival(late, T0 + 2_400)

    assert found.low_s > T0 + 2_400 + 0.8 * PLACED.way_s


def test_time_that_passes_without_anything_happening_moves_the_estimate_on() -> None:
    cooking = came(said_s=900)

    ats = [Eta().arrival(cooking, T0 + after_s).at_s for after_s in range(0, 7_200, 300)]

    assert ats == sorted(ats)
    assert ats[-1] > T0 + 7_200


def test_a_restaurant_is_believed_more_with_each_order() -> None:
    one = learned(Eta(), Part.COOKING, "rst_1", *[2_400.0] * 3)
    many = learned(Eta(), Part.COOKING, "rst_1", *[2_400.0] * 30)

    unknown, few, known = (eta.spread(Part.COOKING, "rst_1").median for eta in (Eta(), one, many))

    assert unknown < few < known <= 2_400


def test_a_restaurant_nobody_knows_is_as_the_others_are() -> None:
    eta = learned(Eta(), Part.COOKING, "rst_2", *[2_400.0] * 100)

    assert eta.spread(Part.COOKING, "rst_1").median == pytest.approx(2_400, abs=60)


def test_a_kitchen_that_always_says_too_little_is_not_believed() -> None:
    eta = learned(Eta(), Part.WORD, "liar", *[900.0] * 20)
    eta = learned(eta, Part.WORD, "honest", *[0.0] * 20)

    lied, told = (expected_ready(eta, one, T0 + 600, T0) for one in ("liar", "honest"))

    assert lied == pytest.approx(1_500, abs=120)
    assert told == pytest.approx(600, abs=120)


def test_food_that_is_overdue_is_expected_later_and_never_before_now() -> None:
    left_s = [expected_ready(Eta(), "rst_1", T0 + 600, T0 + now) for now in range(0, 3_600, 200)]

    assert all(left > 0 for left in left_s)
    assert left_s[0] == pytest.approx(660, abs=60)


def test_a_kitchen_whose_word_is_always_true_is_believed_to_the_second() -> None:
    eta = learned(Eta(), Part.WORD, "rst_1", *[0.0] * 300)

    assert expected_ready(eta, "rst_1", T0 + 600, T0) == pytest.approx(600, abs=10)


@pytest.mark.parametrize("said_s", [1e18, T0 + 90 * 86_400])
def test_an_absurd_word_of_a_kitchen_counts_no_more_than_hours(said_s: float) -> None:
    absurd = structs.replace(PLACED, said_s=said_s)

    assert Eta().arrival(absurd, T0).high_s < T0 + SAID_S_MAX + 3 * 3_600


@pytest.mark.parametrize("took", [float("nan"), float("inf"), -1.0, 1e9])
@pytest.mark.parametrize("part", [Part.COOKING, Part.WAITING, Part.RIDE, Part.DOOR, Part.COUNTER])
def test_what_nobody_believes_is_not_learned(part: Part, took: float) -> None:
    assert learned(Eta(), part, "rst_1", took) == Eta()


def test_a_clock_that_jumped_back_teaches_no_part() -> None:
    before = came(said_s=900)

    seen = observed(before, structs.replace(before, ready_s=T0 - 86_400))

    assert seen
    assert learned_all(Eta(), seen) == Eta()


def learned_all(eta: Eta, seen: tuple[Observation, ...]) -> Eta:
    for one in seen:
        eta = eta.learned(one)
    return eta


def test_each_part_of_the_way_is_learned_once_as_it_is_known() -> None:
    moments = {
        "said_s": 600.0,
        "ready_s": 700.0,
        "here_s": 760.0,
        "picked_up_s": 800.0,
        "at_door_s": 1_460.0,
        "delivered_s": 1_500.0,
    }
    states = [came(**dict(list(moments.items())[:count])) for count in range(len(moments) + 1)]

    seen = [one for before, after in pairwise(states) for one in observed(before, after)]

    assert [(one.part, one.key, one.took) for one in seen] == [
        (Part.WORD, "rst_1", 100),
        (Part.COOKING, "rst_1", 700),
        (Part.WAITING, ALL, 60 / PLACED.queue_s),
        (Part.COUNTER, "rst_1", 40),
        (Part.RIDE, "18", 1.0),
        (Part.DOOR, "18", 40),
    ]
    assert observed(states[-1], states[-1]) == ()


def test_food_taken_from_a_kitchen_that_never_said_ready_still_teaches() -> None:
    before = came(said_s=600)

    seen = observed(before, structs.replace(before, picked_up_s=T0 + 900))

    assert (Part.WORD, 300) in [(one.part, one.took) for one in seen]


def test_a_busier_market_is_expected_to_keep_food_waiting() -> None:
    calm, busy = (structs.replace(PLACED, load=load) for load in (0.2, 1.2))

    assert Eta().arrival(busy, T0).at_s > Eta().arrival(calm, T0).at_s + 300


def test_a_promise_holds_as_often_as_it_is_asked_to() -> None:
    promises = [promise_s(Eta(), PLACED, T0, share) for share in (0.5, 0.8, 0.9, 0.99)]

    assert promises == sorted(promises)
    assert promises[0] >= Eta().arrival(PLACED, T0).at_s


def test_a_promise_never_asks_for_a_ride_faster_than_the_travel_times() -> None:
    hurried = learned(Eta(), Part.RIDE, "18", *[0.2] * 200)
    hurried = learned(hurried, Part.COOKING, "rst_1", *[60.0] * 200)
    far = structs.replace(PLACED, way_s=3_600)

    assert promise_s(hurried, far, T0, 0.5) >= T0 + far.ride_s


def test_an_order_for_later_is_promised_after_its_time() -> None:
    later = structs.replace(PLACED, wanted_s=T0 + 7_200)

    assert promise_s(Eta(), later, T0, 0.9) > T0 + 7_200 + PLACED.way_s


moments = st.lists(st.floats(min_value=-600, max_value=7_200), max_size=6)


@settings(max_examples=40)
@given(moments, st.floats(min_value=-600, max_value=20_000), st.floats(0, 5), st.floats(0, 1e5))
def test_an_estimate_ascends_and_never_lies_in_the_past(
    after_s: list[float], now_s: float, load: float, way_s: float
) -> None:
    order = came(**dict(zip(WAY, after_s, strict=False)))

    found = Eta().arrival(structs.replace(order, load=load, way_s=way_s), T0 + now_s)

    assert T0 + now_s <= found.low_s <= found.at_s <= found.high_s < float("inf")


def test_memory_is_bounded_and_who_was_not_heard_of_for_longest_makes_way() -> None:
    everybody = learned(Eta(), Part.WORD, "rst_1", *map(float, range(1_000))).parts[Part.WORD]
    crowded = structs.replace(
        everybody, own={f"rst_{one}": everybody.own["rst_1"] for one in range(OWN_MAX)}
    )

    after = crowded.after("newcomer", 60)

    assert len(everybody.own["rst_1"].latest) == LATEST_MAX
    assert len(everybody.everybody.latest) == EVERYBODY_MAX
    assert len(after.own) == OWN_MAX
    assert "newcomer" in after.own
    assert "rst_0" not in after.own


def test_what_was_learned_comes_back_from_its_bytes() -> None:
    eta = learned(Eta(load=0.8), Part.RIDE, "18", 1.1, 1.3)
    eta = eta.judged(Told(Phase.CARRIED, eta.arrival(PLACED, T0), T0 + 1_800))

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(eta), type=Eta) == eta


def test_what_the_first_version_learned_is_read_still() -> None:
    written = msgspec.msgpack.encode(
        {"parts": {"ride": {"everybody": [[1.2, 1.4]], "own": {"18": [[1.2]]}}}, "margins": {}}
    )

    eta = msgspec.msgpack.decode(written, type=Eta)

    assert eta.spread(Part.RIDE, "18").median > Eta().spread(Part.RIDE, "18").median


def test_every_part_has_a_habit_that_believes_its_own_prior() -> None:
    for part in Part:
        habit = HABITS[part]
        assert habit.low <= habit.prior.values[0] <= habit.prior.values[-1] <= habit.high


class Kitchens:
    """Restaurants whose orders take as long as they take, one order after the other."""

    def __init__(self, seed: int) -> None:
        self.eta = Eta()
        self._rng = Random(seed)
        self._now_s = T0
        self._waiting: list[tuple[Progress, dict[Phase, Told]]] = []

    def held_share(self, orders: int, slower_s: float) -> float:
        """Foretell and deliver so many orders, each known only when twenty more were placed."""
        held: list[bool] = []
        for _ in range(orders):
            self._place(slower_s)
            if len(self._waiting) > 20:
                held.append(self._deliver())
        return sum(held) / len(held)

    def _place(self, slower_s: float) -> None:
        self._now_s += 60
        restaurant, now_s = self._rng.randrange(30), self._now_s
        order = structs.replace(PLACED, restaurant_id=f"rst_{restaurant}", placed_s=now_s)
        told = self.eta.arrival(order, now_s)
        ready_s = now_s + slower_s + max(120.0, self._rng.gauss(600 + 20 * restaurant, 180))
        here_s = ready_s + self._rng.uniform(0, 120)
        picked_up_s = here_s + self._rng.uniform(20, 120)
        at_door_s = picked_up_s + PLACED.ride_s * self._rng.lognormvariate(0, 0.1)
        done = structs.replace(
            order,
            ready_s=ready_s,
            here_s=here_s,
            picked_up_s=picked_up_s,
            at_door_s=at_door_s,
            delivered_s=at_door_s + self._rng.uniform(30, 120),
        )
        assert done.delivered_s is not None
        self._waiting.append((done, {Phase.PLACED: Told(Phase.PLACED, told, done.delivered_s)}))

    def _deliver(self) -> bool:
        done, told = self._waiting.pop(0)
        before = structs.replace(PLACED, restaurant_id=done.restaurant_id, placed_s=done.placed_s)
        self.eta = learned_all(self.eta, observed(before, done))
        self.eta = self.eta.judged(told[Phase.PLACED])
        estimate = told[Phase.PLACED].estimate
        return estimate.low_s <= told[Phase.PLACED].happened_s <= estimate.high_s


@pytest.mark.slow
def test_coverage_holds_and_is_back_after_all_kitchens_become_slower() -> None:
    kitchens = Kitchens(seed=3)
    kitchens.held_share(300, slower_s=0)

    usual = kitchens.held_share(1_500, slower_s=0)
    at_first = kitchens.held_share(60, slower_s=600)
    kitchens.held_share(600, slower_s=600)
    then = kitchens.held_share(1_500, slower_s=600)

    assert 0.78 <= usual <= 0.82
    assert at_first < 0.7
    assert 0.78 <= then <= 0.82
