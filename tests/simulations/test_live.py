"""A day watched while it happens, on a terminal and on a pipe."""

from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from dispatch.ids import Instant, RestaurantId, after
from simulations.day import RestaurantRecord, RoundRecord, Sample, Setting, Tally
from simulations.live import LINE_S_MIN, LiveView
from simulations.scene import NOWHERE, Activity, CourierSpot, Scene, Spot, line, picture

START = Instant(1_772_812_800_000)
LEAVES_SCREEN, SHOWS_CURSOR = "\x1b[?1049l", "\x1b[?25h"


class RealTime:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def a_scene(couriers: int = 3, events: tuple[str, ...] = ("17:59 An order was placed.",)) -> Scene:
    restaurant = RestaurantRecord(
        restaurant_id=RestaurantId("rst_1"), name="Noodle Bar", x_m=0.0, y_m=0.0
    )
    return Scene(
        setting=Setting(
            city="Copenhagen",
            policy="insert",
            seed=1,
            starts_at=START,
            utc_offset_s=3_600,
            restaurants=(restaurant,),
        ),
        at=after(START, 3_600),
        ends_at=after(START, 7_200),
        speed=512.0,
        tally=Tally(placed=40, open_orders=9, waiting=1, delivered=30, late=3, lost=1),
        couriers=tuple(
            CourierSpot(100.0 * number, 50.0, Activity.LOADED) for number in range(couriers)
        ),
        waiting=(Spot(500.0, 500.0),),
        events=events,
        last_round=RoundRecord(at=START, orders=9, couriers=3, took_ms=4.5, cost_s=1.0),
        samples=(Sample(at=START, open_orders=9, waiting=1, on_shift=3, busy=2, quiet=0),),
    )


def interrupted(console: Console) -> None:
    with LiveView(console, RealTime()) as view:
        view.update(a_scene())
        raise KeyboardInterrupt


def drawn(scene: Scene, width: int, height: int) -> list[str]:
    paper = StringIO()
    extent = NOWHERE.around([*scene.couriers, *scene.waiting])
    console = Console(file=paper, width=width, height=height)
    console.print(picture(scene, extent, width, height))
    return paper.getvalue().splitlines()


def a_terminal(paper: StringIO) -> Console:
    return Console(file=paper, force_terminal=True, width=100, height=32, _environ={})


def test_a_picture_has_the_map_the_counters_and_what_was_said() -> None:
    said = "\n".join(drawn(a_scene(), 100, 32))

    assert said.startswith("18:00 ████████ ")
    assert "Copenhagen" in said
    assert "512 times real time, insert" in said
    assert said.count("●") == 3 + 1
    assert said.count("◆") == 1 + 1
    assert "Placed                   40" in said
    assert "10.0\u00a0%" in said
    assert said.rstrip().endswith("17:59 An order was placed.")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 32), (200, 60), (40, 10), (20, 4)])
def test_a_picture_stays_inside_the_terminal(width: int, height: int) -> None:
    lines = drawn(a_scene(events=("a very long sentence " * 20,) * 9), width, height)

    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_usual_terminal_of_eighty_by_twenty_four_has_a_map() -> None:
    assert sum("◆" in text for text in drawn(a_scene(), 80, 24)) == 2


def test_many_couriers_become_dots() -> None:
    said = "\n".join(drawn(a_scene(couriers=1_000), 100, 32))

    assert said.count("●") == 1
    assert any("\u2800" < char <= "\u28ff" for char in said)


def test_the_map_has_north_above_and_east_to_the_right() -> None:
    scene = a_scene(couriers=1)
    lines = drawn(scene, 100, 32)

    (courier_row,) = [row for row, text in enumerate(lines) if "●" in text[:70]]
    (order_row,) = [row for row, text in enumerate(lines) if "◆" in text[:70]]
    assert order_row < courier_row
    assert lines[order_row].index("◆") > lines[courier_row].index("●")


def test_the_map_stands_still_while_couriers_stay_inside_it() -> None:
    extent = NOWHERE.around([Spot(1_000.0, 1_000.0), Spot(-1_000.0, -1_000.0)])

    assert extent.around([Spot(900.0, -900.0)]) == extent
    assert extent.around([Spot(9_000.0, 0.0)]).east_m > 9_000


def test_no_more_than_eight_pictures_a_second_are_drawn() -> None:
    paper, real_time = StringIO(), RealTime()

    with LiveView(a_terminal(paper), real_time) as view:
        for _ in range(100):
            real_time.now_s += 0.01
            view.update(a_scene())

    assert 7 <= paper.getvalue().count("Copenhagen") <= 8


def test_a_scene_is_worth_making_only_when_it_would_be_shown() -> None:
    real_time = RealTime()

    with LiveView(a_terminal(StringIO()), real_time) as view:
        assert view.is_due()
        view.update(a_scene())
        assert not view.is_due()
        real_time.now_s += 0.2
        assert view.is_due()


def test_the_terminal_comes_back_when_the_day_is_interrupted() -> None:
    paper = StringIO()

    with pytest.raises(KeyboardInterrupt):
        interrupted(a_terminal(paper))

    assert LEAVES_SCREEN in paper.getvalue()
    assert SHOWS_CURSOR in paper.getvalue()


def test_a_pipe_gets_a_plain_line_every_few_seconds() -> None:
    paper, real_time = StringIO(), RealTime()

    with LiveView(Console(file=paper, width=80), real_time) as view:
        for _ in range(100):
            view.update(a_scene())
            real_time.now_s += LINE_S_MIN / 10

    assert paper.getvalue().splitlines() == [line(a_scene())] * 10
    assert "\x1b" not in paper.getvalue()


def test_a_terminal_without_unicode_gets_ascii_lines() -> None:
    paper = TextIOWrapper(BytesIO(), encoding="ascii")

    with LiveView(Console(file=paper, force_terminal=True, width=80), RealTime()) as view:
        view.update(a_scene())

    paper.seek(0)
    assert paper.read().startswith("18:00  40 placed  30 delivered")


def test_what_was_said_cannot_steer_the_terminal() -> None:
    hostile = a_scene(events=("\x1b[2J[red]gone[/red]\nsecond line",))

    said = drawn(hostile, 100, 32)

    assert said[-1].rstrip() == "[2J[red]gone[/red] second line"
