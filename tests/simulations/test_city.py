"""Cities to simulate: the same seed is the same day, and a bad spec is said with its line."""

from pathlib import Path

import pytest
from msgspec import structs

from simulations.city import (
    CITIES,
    OVERHANG_S,
    BadSpec,
    Peak,
    find_spec,
    populate,
    read_spec,
    with_options,
)

TOWN = CITIES["town"]


def test_the_same_seed_makes_the_same_people_and_another_seed_others() -> None:
    first, again, other = populate(TOWN, 7), populate(TOWN, 7), populate(TOWN, 8)

    assert first == again
    assert first != other


def test_a_population_is_as_large_as_its_spec_and_lives_within_the_opening_hours() -> None:
    people = populate(TOWN, 1)

    opens_s, closes_s = TOWN.opens_h * 3600, (TOWN.opens_h + TOWN.hours) * 3600
    assert len(people.orders) == TOWN.orders
    assert len(people.couriers) == TOWN.couriers
    assert len(people.restaurants) == TOWN.restaurants
    assert all(opens_s <= order.placed_s <= closes_s for order in people.orders)
    leave_s = closes_s + OVERHANG_S
    assert all(opens_s <= one.starts_s < one.ends_s <= leave_s for one in people.couriers)


def test_people_are_hungry_at_the_peaks() -> None:
    spec = structs.replace(TOWN, peaks=(Peak(19.0, 0.5, 1.0),), orders=1_000)

    placed_h = [order.placed_s / 3600 for order in populate(spec, 1).orders]

    assert sum(18 <= hour <= 20 for hour in placed_h) > 900


def test_more_couriers_do_not_change_what_is_ordered() -> None:
    more = with_options(TOWN, couriers=80, orders=None, hours=None)

    assert populate(more, 3).orders == populate(TOWN, 3).orders
    assert len(populate(more, 3).couriers) == 80


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
