"""Opening beside: a round is answered at once, and by the streets as soon as they are there."""

from collections.abc import Callable

import pytest
from msgspec import structs

from geo.point import LatLng
from geo.travel import OnStreets, StraightLine, TravelTimes, Ways
from streets.soon import OPENINGS_MAX, STAND_IN, Opener
from streets.travel import NoStreets

WAYS = OnStreets(folder="cph", vehicle="bicycle", centre=LatLng(55.7, 12.6))
OPENED = StraightLine(speed_mps=3.0)
AROUND = StraightLine(speed_mps=2.0)


class Later:
    """Does what is begun when it is told to, and opens ways as they are told to be."""

    def __init__(self) -> None:
        self.works: list[Callable[[], None]] = []
        self.asked: list[Ways] = []
        self.fails = False

    def begin(self, work: Callable[[], None]) -> None:
        self.works.append(work)

    def opened(self, ways: Ways) -> TravelTimes:
        self.asked.append(ways)
        if self.fails:
            raise NoStreets("there is no such folder")
        assert isinstance(ways, OnStreets)
        return AROUND if ways.closed else OPENED

    def go_on(self) -> None:
        works, self.works = self.works, []
        for work in works:
            work()


def opener() -> tuple[Opener, Later]:
    later = Later()
    return Opener(later.begin, later.opened), later


def test_until_streets_are_open_a_straight_line_stands_in() -> None:
    opens, later = opener()

    before = opens.opened_soon(WAYS)
    later.go_on()

    assert before is STAND_IN
    assert opens.opened_soon(WAYS) is OPENED


def test_streets_are_opened_once_however_often_they_are_asked_for() -> None:
    opens, later = opener()

    for pace in (1.0, 1.1, 1.2):
        opens.opened_soon(structs.replace(WAYS, pace=pace))

    assert len(later.works) == 1


def test_until_streets_are_closed_they_are_used_as_if_they_were_not() -> None:
    opens, later = opener()
    opens.opened_soon(WAYS)
    later.go_on()
    closed = structs.replace(WAYS, closed=(1, 2))

    meanwhile = opens.opened_soon(closed)
    later.go_on()

    assert meanwhile is OPENED
    assert opens.opened_soon(closed) is AROUND


def test_a_folder_that_cannot_be_opened_is_told_each_time_and_tried_once() -> None:
    opens, later = opener()
    later.fails = True
    opens.opened_soon(WAYS)
    later.go_on()

    for _ in range(2):
        with pytest.raises(NoStreets, match="no such folder"):
            opens.opened_soon(WAYS)
    assert len(later.asked) == 1


def test_a_straight_line_needs_no_opening() -> None:
    opens, later = opener()

    assert opens.opened_soon(OPENED) is OPENED
    assert later.works == []


def test_what_is_remembered_of_openings_is_bounded() -> None:
    opens, later = opener()

    for number in range(2 * OPENINGS_MAX):
        opens.opened_soon(structs.replace(WAYS, folder=f"city-{number}"))
        later.go_on()
    opens.opened_soon(structs.replace(WAYS, folder="city-0"))

    assert len(later.works) == 1
