"""Specs: a city by name, by file or by folder, and a bad one is said with its line."""

from pathlib import Path

import pytest

from simulations.spec import CITIES, BadSpec, Peak, find_spec, read_spec, with_options
from tests.simulations.folders import toy_city

TOWN = CITIES["town"]


def test_a_file_names_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ncouriers = 12\n[[peaks]]\nhour = 13\nspread_h = 1\nweight = 1\n'
    )

    spec = find_spec(str(path))

    assert (spec.name, spec.couriers, spec.peaks) == ("mine", 12, (Peak(13.0, 1.0, 1.0),))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('name = "x"\n\ncouriers = 0\n', 3, "`int` >= 1"),
        ('name = "x"\nriders = 3\n', 2, "unknown field `riders`"),
        ('name = "x"\nspeed_kmh = "fast"\n', 2, "Expected `float`"),
        ('name = "x"\nshift_h = [6, 3]\n', 2, "least is above its most"),
        ('name = "x"\ncouriers = = 3\n', 2, "Invalid"),
        ("couriers = 3\n", 1, "missing required field `name`"),
        ('name = "x"\norders = 3\n[[peaks]]\nhour = -1\nspread_h = 1\nweight = 1\n', 3, ">= 0"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)

    with pytest.raises(BadSpec) as caught:
        read_spec(path)

    assert f"bad.toml, line {line}: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_city_and_a_bad_option_are_said_plainly() -> None:
    with pytest.raises(BadSpec, match="name one of evening, town, metro"):
        find_spec("atlantis")
    with pytest.raises(BadSpec, match=r"your options: .*couriers"):
        with_options(TOWN, couriers=0, orders=None, hours=None)


def test_a_city_folder_is_a_city_with_its_own_name(tmp_path: Path) -> None:
    folder = toy_city(tmp_path / "toy", restaurants=9)

    spec = find_spec(str(folder))

    assert (spec.name, spec.folder, spec.restaurants) == ("toy", str(folder), 9)


def test_a_file_may_name_the_folder_whose_streets_it_means(tmp_path: Path) -> None:
    folder = toy_city(tmp_path / "toy")
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nfolder = "{folder}"\nvehicle = "car"\nlookup = "exact"\n')

    spec = find_spec(str(path))

    assert (spec.folder, spec.vehicle, spec.lookup) == (str(folder), "car", "exact")


def test_a_folder_that_is_no_city_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nfolder = "{tmp_path / "gone"}"\n')

    with pytest.raises(BadSpec, match=r"cannot be simulated: .*city\.json is missing"):
        find_spec(str(tmp_path))
    with pytest.raises(BadSpec, match=r"line 2: .*gone is no city folder"):
        find_spec(str(path))
