"""The page: that it needs nothing, breaks on nothing, and says what was measured."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from itertools import product

import pytest
from msgspec import structs

from simulations.day import Day
from simulations.figures import by_name, figures
from simulations.measures import MEASURES
from simulations.report import render
from simulations.wording import shown

HOSTILE = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"
STYLE = files("simulations").joinpath("report.css").read_text("utf-8")


class Page(HTMLParser):
    """Reads a page, insisting that every element is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += ((tag, name, value) for name, value in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@pytest.fixture(scope="module")
def one(evening: Day) -> str:
    return render([evening])


@pytest.fixture(scope="module")
def three(three_evenings: tuple[Day, ...]) -> str:
    return render(three_evenings)


def test_the_page_is_well_formed(one: str, three: str) -> None:
    assert Page(one).open == []
    assert Page(three).open == []


def test_the_page_asks_for_nothing_from_anywhere(three: str) -> None:
    page = Page(three)

    fetching = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "use"}
    assert page.names & fetching == set()
    assert {name for _, name, _ in page.attributes} & {"src", "href", "style", "onclick"} == set()
    assert re.findall(r"https?:|url\(|@import|@font-face", three) == []


def test_a_hostile_name_is_only_read(day_of: Callable[..., Day]) -> None:
    hostile = day_of(orders=30, city=HOSTILE, policy=HOSTILE)

    page = Page(render([hostile, hostile]))

    assert page.open == []
    assert page.names & {"script", "img"} == set()
    assert HOSTILE in page.said


def test_whose_map_it_was_stands_beside_what_is_drawn_of_it(evening: Day) -> None:
    setting = structs.replace(evening.setting, attribution="(c) Mapmakers")

    assert "(c) Mapmakers." in render([structs.replace(evening, setting=setting)])


def test_every_figure_is_there_with_its_unit_and_its_meaning(evening: Day, one: str) -> None:
    said = set(Page(one).said)

    for name, value in by_name(figures(evening)).items():
        assert {MEASURES[name].title, MEASURES[name].meaning, shown(name, value)} <= said


def test_every_drawing_says_what_it_shows_and_has_its_figures_as_a_table(one: str) -> None:
    drawings = re.findall(r"<svg [^>]*>", one)

    assert len(drawings) >= 7
    assert all('role="img" aria-label="' in drawing for drawing in drawings)
    assert one.count("The figures as a table") == 5


def test_the_histogram_holds_every_delivered_order(one: str) -> None:
    held = re.findall(r">\d+ to \d+\u00a0min: ([\d,]+)\u00a0orders?<", one)

    assert sum(int(number) for number in held) == 881


def test_a_comparison_marks_the_best_and_says_how_far_the_others_are(three: str) -> None:
    page = Page(three)

    assert "5.3\u00a0% ✓" in page.said
    assert "-28.9\u00a0pp" in page.said
    assert "The day under insert" in page.said
    assert {"The day under nearest", "The day under assign"} <= set(page.said)


def test_one_day_is_not_compared(one: str) -> None:
    assert "✓" not in one
    assert "side by side" not in one


@pytest.mark.parametrize("orders", [0, 1])
def test_a_day_with_hardly_anything_in_it_is_still_a_page(
    day_of: Callable[..., Day], orders: int
) -> None:
    assert Page(render([day_of(orders=orders)])).open == []


def test_the_same_day_gives_the_same_page(evening: Day, one: str) -> None:
    assert render([evening]) == one


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_words_stand_out_from_what_they_stand_on(theme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#\w{6})", STYLE.split("--paper:")[theme + 1]))
    colours["paper"] = STYLE.split("--paper: ")[theme + 1][:7]

    words, grounds = ("ink", "soft", "main"), ("paper", "card", "good")
    low = {
        (word, ground): contrast(colours[word], colours[ground])
        for word, ground in product(words, grounds)
        if contrast(colours[word], colours[ground]) < 4.5
    }
    assert low == {}


@pytest.mark.parametrize("theme", [0, 1])
def test_lines_and_bars_stand_out_from_their_card(theme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#\w{6})", STYLE.split("--paper:")[theme + 1]))

    looks = ("main", "second", "third", "bad", "soft")
    assert min(contrast(colours[look], colours["card"]) for look in looks) >= 3


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
