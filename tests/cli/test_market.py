"""`dispatch market`: a city is added, listed, and refused in one sentence."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from cli.main import app
from tests.simulations.folders import toy_city


def run(database: str, redis_url: str, *words: str) -> Result:
    """Type `dispatch market` and these words, on these servers."""
    servers = {"DATABASE_URL": database, "REDIS_URL": redis_url}
    return CliRunner().invoke(app, ["market", *words], env=servers)


def test_a_city_that_was_added_is_listed_with_its_shard(database: str, redis_url: str) -> None:
    added = run(database, redis_url, "add", "copenhagen", "55.676", "12.568")
    listed = run(database, redis_url, "list", "--json")

    assert added.exit_code == 0, added.stderr
    found = json.loads(listed.stdout)["markets"]
    assert [one["market"] for one in found] == ["copenhagen"]
    assert found[0]["shard"] in added.stdout
    assert found[0]["timezone"] == "UTC"


def test_land_that_has_a_market_is_not_given_twice(database: str, redis_url: str) -> None:
    run(database, redis_url, "add", "copenhagen", "55.676", "12.568")

    again = run(database, redis_url, "add", "other", "55.676", "12.568")

    assert again.exit_code == 2
    assert "belongs to market 'copenhagen'" in again.stderr
    assert again.stderr.count("\n") == 1


def test_a_place_that_is_not_on_the_earth_is_refused(database: str, redis_url: str) -> None:
    refused = run(database, redis_url, "add", "nowhere", "95", "12")

    assert refused.exit_code == 2
    assert "between -90 and 90" in refused.stderr


def test_a_city_may_ride_on_its_streets_whose_table_is_made_at_once(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    folder = toy_city(tmp_path / "toy")

    added = run(database, redis_url, "add", "toy", "55.676", "12.568", "--streets", str(folder))
    listed = run(database, redis_url, "list", "--json")

    assert added.exit_code == 0, added.stderr
    assert json.loads(listed.stdout)["markets"][0]["timezone"] == "Europe/Copenhagen"
    assert [kept.name[:8] for kept in (folder / "tables").iterdir()] == ["bicycle-"]


def test_streets_that_cannot_be_opened_make_no_market(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    refused = run(database, redis_url, "add", "toy", "55.676", "12.568", "--streets", str(tmp_path))

    assert refused.exit_code == 2
    assert "is missing: make the folder" in refused.stderr
    assert json.loads(run(database, redis_url, "list", "--json").stdout)["markets"] == []
