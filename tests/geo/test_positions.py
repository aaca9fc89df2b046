"""The position table, held against a dictionary of positions and looking at everybody."""

from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from geo.cell import NOWHERE, Cell, cell_at, core
from geo.grid import NO_SLOT
from geo.ping import Ping, Track
from geo.point import LatLng, Point
from geo.position import ONLINE, CellChanged, Changes, Near, State, TableFull, UnknownCourier
from geo.positions import NEAREST_MAX, TRACK_PINGS_MAX, TRACKS_MAX, PositionTable
from geo.projection import Projection

NOW = 1_790_000_000_000
HOME = LatLng(55.68, 12.57)
PROJECTION = Projection(HOME)
HOME_CELL = cell_at(HOME.lat, HOME.lng)


def ping(seen_at: int = NOW, *, east_m: float = 0.0, north_m: float = 0.0) -> Ping:
    """Return a ping so far from home."""
    place = PROJECTION.to_lat_lng(Point(east_m, north_m))
    return Ping(place.lat, place.lng, 3.0, seen_at)


def track(courier: str, *pings: Ping) -> Track:
    """Return a track; without pings, of one from home."""
    return Track(courier, pings or (ping(),))


def table(*couriers: str, couriers_max: int = 1_000) -> PositionTable:
    """Return a table that these couriers have joined, idle."""
    positions = PositionTable(PROJECTION, couriers_max=couriers_max)
    for courier in couriers:
        positions.join(courier, NOW)
    return positions


def names(positions: PositionTable, cell: Cell) -> set[str | None]:
    """Return who is in a cell."""
    return set(positions.couriers_in(positions.in_cell(cell)))


def test_a_first_ping_enters_a_cell_and_a_short_way_stays_in_it() -> None:
    positions = table("ada")
    middle = core(HOME_CELL, PROJECTION)

    first = positions.ping("ada", ping(east_m=middle.x_m, north_m=middle.y_m), NOW)
    aside = ping(NOW + 9_000, east_m=middle.x_m + 100, north_m=middle.y_m)
    second = positions.ping("ada", aside, NOW + 9_000)

    assert first.cell_changed == (CellChanged("ada", NOWHERE, HOME_CELL),)
    assert second.cell_changed == ()


def test_a_courier_who_crosses_a_border_changes_cell() -> None:
    positions = table("ada")
    positions.ping("ada", ping(), NOW)

    changes = positions.ping("ada", ping(NOW + 60_000, east_m=600), NOW + 60_000)

    there = PROJECTION.to_lat_lng(Point(600.0, 0.0))
    assert changes.cell_changed == (CellChanged("ada", HOME_CELL, cell_at(there.lat, there.lng)),)
    assert names(positions, HOME_CELL) == set()
    assert names(positions, cell_at(there.lat, there.lng)) == {"ada"}


def test_the_cell_is_exact_at_every_step_of_a_ride_through_the_city() -> None:
    positions, now = table("ada"), NOW
    rng = np.random.default_rng(31)
    ride = np.cumsum(rng.normal(0, 25, (400, 2)), axis=0).tolist()

    for east_m, north_m in ride:
        now += 5_000
        here = ping(now, east_m=east_m, north_m=north_m)
        positions.ping("ada", here, now)
        position = positions.find_position("ada")
        assert position is not None
        assert position.cell == cell_at(here.lat, here.lng)

    assert positions.statistics().pings["accepted"] == len(ride)
    assert positions.statistics().cells == 1


def test_a_courier_must_join_before_anything_can_be_said_of_him() -> None:
    positions = table()

    with pytest.raises(UnknownCourier, match="ada"):
        positions.find_position("ada")
    with pytest.raises(UnknownCourier, match="ada"):
        positions.set_state("ada", State.BUSY, NOW)


def test_joining_or_leaving_twice_is_harmless() -> None:
    positions = table("ada", "bo")
    positions.set_state("ada", State.BUSY, NOW)
    positions.ping("ada", ping(), NOW)

    slot = positions.join("ada", NOW + 1)
    positions.leave("bo")
    positions.leave("bo")

    position = positions.find_position("ada")
    assert position is not None
    assert (slot, position.state) == (positions.slot_of("ada"), State.BUSY)
    assert positions.statistics().couriers == 1


def test_whoever_leaves_is_nowhere_and_the_next_in_his_slot_starts_anew() -> None:
    positions = table("ada")
    positions.ping("ada", ping(), NOW)
    slot = positions.slot_of("ada")

    positions.leave("ada")
    positions.join("bo", NOW)
    late = positions.ping("ada", ping(NOW + 1_000), NOW + 1_000)

    assert positions.slot_of("bo") == slot
    assert positions.find_position("bo") is None
    assert late == Changes()
    assert positions.in_cell(HOME_CELL).tolist() == []
    assert positions.nearest_to(Point(0.0, 0.0), 5) == ()
    assert positions.statistics().located == 0


def test_a_table_grows_to_its_limit_and_says_what_to_do_there() -> None:
    couriers = [f"courier {number}" for number in range(150)]
    positions = table(*couriers, couriers_max=150)
    positions.apply([track(courier) for courier in couriers], NOW)

    with pytest.raises(TableFull, match="all 150 slots are taken: raise couriers_max"):
        positions.join("one too many", NOW)

    assert [positions.slot_of(courier) for courier in couriers] == list(range(150))
    assert positions.statistics().slots == 150
    assert positions.statistics().located == 150


def test_the_nearest_come_in_order_and_ties_by_slot() -> None:
    positions = table("far", "tie 1", "near", "tie 2")
    spots = {"tie 2": 300.0, "near": 100.0, "far": 900.0, "tie 1": 300.0}
    positions.apply([track(courier, ping(east_m=east_m)) for courier, east_m in spots.items()], NOW)

    nearest = positions.nearest_to(Point(0.0, 0.0), 4)

    assert [near.courier for near in nearest] == ["near", "tie 1", "tie 2", "far"]
    assert [near.gap_m for near in nearest] == pytest.approx([100, 300, 300, 900])


def test_where_there_are_fewer_than_asked_for_the_rest_is_nobody() -> None:
    positions = table("ada", "silent")
    positions.ping("ada", ping(east_m=30.0), NOW)

    slots, gaps_m = positions.nearest(np.zeros((2, 2)), 3)

    assert slots.tolist() == [[positions.slot_of("ada"), NO_SLOT, NO_SLOT]] * 2
    assert gaps_m[0].tolist() == [pytest.approx(30), np.inf, np.inf]
    assert positions.couriers_in(slots[0]) == ("ada", None, None)


def test_who_is_offline_is_never_among_the_nearest() -> None:
    positions = table("idle", "busy", "offline")
    positions.apply([track(courier) for courier in ("idle", "busy", "offline")], NOW)
    positions.set_state("busy", State.BUSY, NOW)
    positions.set_state("offline", State.OFFLINE, NOW)

    def nearest(among: State) -> list[str]:
        return [near.courier for near in positions.nearest_to(Point(0.0, 0.0), 5, among)]

    assert nearest(ONLINE) == ["idle", "busy"]
    assert nearest(State.BUSY) == ["busy"]
    assert nearest(State.OFFLINE | State.IDLE) == ["idle"]


@pytest.mark.parametrize("k", [0, NEAREST_MAX + 1])
def test_a_number_of_neighbours_without_sense_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="the nearest are 1 to 1000"):
        table().nearest_to(Point(0.0, 0.0), k)


def test_nobody_is_near_a_point_that_is_nowhere() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        table().nearest_to(Point(float("nan"), 0.0), 1)


def test_rebuilding_changes_no_answer() -> None:
    rng = np.random.default_rng(9)
    couriers = [f"courier {number}" for number in range(500)]
    positions = table(*couriers)
    spots = rng.normal(0, 2_000, (500, 2)).tolist()
    positions.apply(
        [
            track(name, ping(east_m=x, north_m=y))
            for name, (x, y) in zip(couriers, spots, strict=True)
        ],
        NOW,
    )
    queries = rng.normal(0, 4_000, (50, 2))
    before = positions.nearest(queries, 10)

    positions.rebuild()

    assert positions.nearest(queries, 10)[0].tolist() == before[0].tolist()
    assert positions.nearest(queries, 10)[1].tolist() == before[1].tolist()


def test_located_couriers_come_with_their_points() -> None:
    positions = table("ada", "bo", "silent")
    positions.apply([track("ada", ping(east_m=10.0)), track("bo", ping(north_m=20.0))], NOW)
    positions.set_state("bo", State.BUSY, NOW)

    slots, points = positions.located(State.BUSY)

    assert positions.couriers_in(slots) == ("bo",)
    assert points == pytest.approx(np.array([[0.0, 20.0]]), abs=1e-6)
    assert positions.couriers_in(positions.located()[0]) == ("ada", "bo")


def test_a_courier_is_quiet_when_nothing_came_since() -> None:
    positions = table("heard", "unheard", "offline", "late")
    positions.set_state("offline", State.OFFLINE, NOW)
    positions.ping("heard", ping(NOW + 50_000), NOW + 50_000)
    positions.leave("late")
    positions.join("late", NOW + 40_000)

    assert positions.quiet_since(NOW + 30_000) == ("unheard",)
    assert positions.quiet_since(NOW + 45_000) == ("unheard", "late")
    assert positions.quiet_since(NOW + 50_001) == ("heard", "unheard", "late")


def test_who_comes_online_is_given_time_for_a_ping() -> None:
    positions = table("ada")
    positions.set_state("ada", State.OFFLINE, NOW)

    positions.set_state("ada", State.IDLE, NOW + 500_000)

    assert positions.quiet_since(NOW + 500_000) == ()


def test_draining_gives_every_change_once() -> None:
    positions = table("ada", "bo", "cy", "silent")
    positions.apply([track(courier) for courier in ("ada", "bo", "cy")], NOW)
    positions.drain()
    positions.ping("cy", ping(NOW + 7_000, north_m=70), NOW + 7_000)
    positions.set_state("bo", State.BUSY, NOW)
    positions.set_state("silent", State.BUSY, NOW)

    drained, again = positions.drain(), positions.drain()

    assert drained.couriers == ("bo", "cy")
    assert drained.seen_at.tolist() == [NOW, NOW + 7_000]
    assert drained.states.tolist() == [State.BUSY, State.IDLE]
    assert drained.lat[1] == ping(north_m=70).lat
    assert again.couriers == ()


def test_a_courier_has_one_state() -> None:
    positions = table("ada")

    with pytest.raises(ValueError, match="offline, idle or busy"):
        positions.set_state("ada", ONLINE, NOW)
    with pytest.raises(ValueError, match="offline, idle or busy"):
        positions.join("bo", NOW, State(0))

    assert positions.statistics().couriers == 1


def test_a_batch_has_a_limit_and_so_has_a_track() -> None:
    positions = table("ada")

    with pytest.raises(ValueError, match=f"at most {TRACKS_MAX} tracks"):
        positions.apply([track("ada")] * (TRACKS_MAX + 1), NOW)
    with pytest.raises(ValueError, match=f"each {TRACK_PINGS_MAX} pings"):
        positions.apply([track("ada", *[ping()] * (TRACK_PINGS_MAX + 1))], NOW)


def test_a_table_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 courier"):
        PositionTable(PROJECTION, couriers_max=0)


@dataclass
class Known:
    """What the model remembers of a courier."""

    state: State
    last: Ping | None = None
    is_changed: bool = False


class TableAgainstDictionary(RuleBasedStateMachine):
    """A table and a dictionary that are told the same must say the same."""

    couriers = st.sampled_from([f"courier {number}" for number in range(12)])
    steps_m = st.sampled_from([0.0, 3.0, 90.0, -90.0, 240.0, -700.0])
    reports = st.tuples(couriers, steps_m, steps_m, st.integers(-8_000, 9_000))

    def __init__(self) -> None:
        super().__init__()
        self.table = PositionTable(PROJECTION, couriers_max=100)
        self.model: dict[str, Known] = {}
        self.now = NOW

    @rule(courier=couriers, state=st.sampled_from(list(State)))
    def join(self, courier: str, state: State) -> None:
        self.table.join(courier, self.now, state)
        self.model.setdefault(courier, Known(state))

    @rule(courier=couriers)
    def leave(self, courier: str) -> None:
        self.table.leave(courier)
        self.model.pop(courier, None)

    @rule(state=st.sampled_from(list(State)), data=st.data())
    def set_state(self, state: State, data: st.DataObject) -> None:
        if self.model:
            courier = data.draw(st.sampled_from(sorted(self.model)))
            self.table.set_state(courier, state, self.now)
            known = self.model[courier]
            known.is_changed |= known.last is not None and known.state != state
            known.state = state

    @rule(reports=st.lists(reports, max_size=30))
    def apply(self, reports: list[tuple[str, float, float, int]]) -> None:
        self.now += 10_000
        tracks = [
            track(courier, ping(self.now + late, east_m=east_m, north_m=north_m))
            for courier, east_m, north_m, late in reports
        ]
        before = {courier: self.cell(known) for courier, known in self.model.items()}

        changes = self.table.apply(tracks, self.now)

        for each in tracks:
            self.take(each.courier, each.pings[0])
        after = {courier: self.cell(known) for courier, known in self.model.items()}
        assert set(changes.cell_changed) == {
            CellChanged(courier, before[courier], cell)
            for courier, cell in after.items()
            if cell != before[courier]
        }

    def take(self, courier: str, each: Ping) -> None:
        known = self.model.get(courier)
        if known is None:
            return
        if known.last is not None:
            elapsed_s = (each.seen_at - known.last.seen_at) / 1_000
            if elapsed_s <= 0:
                return
            a = PROJECTION.to_point(LatLng(known.last.lat, known.last.lng))
            b = PROJECTION.to_point(LatLng(each.lat, each.lng))
            if elapsed_s < 120 and hypot(b.x_m - a.x_m, b.y_m - a.y_m) > 200 + 70 * elapsed_s:
                return
        known.last, known.is_changed = each, True

    @staticmethod
    def cell(known: Known) -> Cell:
        return NOWHERE if known.last is None else cell_at(known.last.lat, known.last.lng)

    @rule()
    def drain(self) -> None:
        assert set(self.table.drain().couriers) == {
            courier for courier, known in self.model.items() if known.is_changed
        }
        for known in self.model.values():
            known.is_changed = False

    @rule()
    def rebuild(self) -> None:
        self.table.rebuild()

    @invariant()
    def everybody_is_where_his_last_ping_said(self) -> None:
        for courier, known in self.model.items():
            position = self.table.find_position(courier)
            if known.last is None:
                assert position is None
            else:
                assert position is not None
                assert (position.lat, position.lng) == (known.last.lat, known.last.lng)
                assert position.seen_at == known.last.seen_at
                assert position.cell == self.cell(known)
                assert position.state == known.state

    @invariant()
    def cells_hold_exactly_those_who_are_in_them(self) -> None:
        cells = {courier: self.cell(known) for courier, known in self.model.items()}
        occupied = set(cells.values()) - {NOWHERE}
        for occupied_cell in occupied:
            assert names(self.table, occupied_cell) == {
                courier for courier, cell in cells.items() if cell == occupied_cell
            }
        assert self.table.statistics().cells == len(occupied)

    @invariant()
    def the_nearest_are_those_found_by_looking_at_everybody(self) -> None:
        gaps: list[tuple[float, int, str]] = []
        for courier, known in self.model.items():
            position = self.table.find_position(courier)
            if position is not None and known.state in ONLINE:
                dx_m, dy_m = position.point.x_m - 80.0, position.point.y_m - 13.0
                gap_m = sqrt(dx_m * dx_m + dy_m * dy_m)
                gaps.append((gap_m, self.table.slot_of(courier), courier))
        nearest = sorted(gaps)[:5]

        found = self.table.nearest_to(Point(80.0, 13.0), 5)

        assert found == tuple(Near(courier, gap_m) for gap_m, _, courier in nearest)


TableAgainstDictionary.TestCase.settings = settings(stateful_step_count=12)
test_a_table_and_a_dictionary_say_the_same = TableAgainstDictionary.TestCase
