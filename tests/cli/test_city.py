"""`dispatch city`: what a person types, and what he is told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.city import app
from streets.build import build_city
from streets.folder import CITY
from tests.streets.test_build import request, seaside


def run(*arguments: str | Path) -> Result:
    """Type `dispatch city` and these words."""
    return CliRunner().invoke(app, [str(word) for word in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A city folder that is there already."""
    build_city(request(seaside(), tmp_path))
    return tmp_path / "built"


@pytest.mark.slow
def test_a_city_is_imported_under_the_name_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seaside().save(tmp_path / "valletta.osm.pbf")
    monkeypatch.chdir(tmp_path)

    ended = run("import", "valletta.osm.pbf", "--no-tiles", "--json")

    printed = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert printed["folder"] == "valletta"
    assert printed["city"]["name"] == "valletta"
    assert any("Atlantis" in remark for remark in printed["remarks"])
    assert (tmp_path / "valletta" / CITY).is_file()


def test_what_a_city_holds_is_shown_in_a_table_and_as_json(folder: Path) -> None:
    table, document = run("show", folder), run("show", folder, "--json")

    assert "© OpenStreetMap contributors" in table.stdout
    assert "Europe/Malta (a guess)" in table.stdout
    assert json.loads(document.stdout)["counts"]["restaurants"] == 1


def test_what_a_person_gets_wrong_is_said_in_one_sentence(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "town").mkdir()
    (tmp_path / "town" / "cat.png").touch()
    file = tmp_path / "town.osm.pbf"

    for arguments, said in (
        (("import", tmp_path / "none.osm.pbf"), "there is no file"),
        (("import", file, "--to", folder), "say --replace to import it anew"),
        (("import", file, "--to", tmp_path / "town"), "holds other things than a city"),
        (("import", file, "--timezone", "Mars/Base"), "no time zone of the IANA"),
        (("show", tmp_path / "town"), "is missing: make the folder with `dispatch city import"),
    ):
        ended = run(*arguments)

        assert ended.exit_code == 2, arguments
        assert said in ended.stderr, arguments
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert ended.stdout == ""


def test_a_city_with_a_damaged_network_is_not_shown_as_sound(folder: Path) -> None:
    network = folder / "network.npz"
    network.write_bytes(network.read_bytes()[:-9])

    ended = run("show", folder)

    assert ended.exit_code == 2
    assert "import the city again" in ended.stderr
