"""The time zone of a city, guessed from where it lies."""

from pathlib import Path

import pytest

from geo.point import LatLng
from streets import clocks
from streets.clocks import guessed_zone


@pytest.mark.parametrize(
    ("lat", "lng", "zone"),
    [
        (35.895, 14.447, "Europe/Malta"),
        (55.672, 12.570, "Europe/Copenhagen"),
        (60.170, 24.940, "Europe/Helsinki"),
        (-36.85, 174.76, "Pacific/Auckland"),
        (40.713, -74.006, "America/New_York"),
    ],
)
def test_the_zone_is_that_of_the_nearest_principal_city(lat: float, lng: float, zone: str) -> None:
    assert guessed_zone(LatLng(lat, lng)) == zone


def test_distances_are_taken_across_the_date_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        clocks, "_list", lambda: "#\nFJ\t-1808+17825\tPacific/Fiji\nPT\t+3843-00908\tEurope/Lisbon"
    )

    assert guessed_zone(LatLng(-17.0, -179.9)) == "Pacific/Fiji"


def test_without_a_list_the_longitude_says_the_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "TZPATH", (str(tmp_path),))
    monkeypatch.setattr(clocks, "files", {"tzdata": tmp_path}.get)

    guessed = [guessed_zone(LatLng(0, lng)) for lng in (14.5, -74.0, 0.0)]

    assert guessed == ["Etc/GMT-1", "Etc/GMT+5", "Etc/GMT"]
