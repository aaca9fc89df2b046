"""`dispatch account`: the first tenant and its administrator, as a person types it."""

import json

from typer.testing import CliRunner, Result

from cli.main import app


def run(database: str, redis_url: str, *words: str, secret: str = "x" * 32) -> Result:
    """Type `dispatch account` and these words, on these servers."""
    servers = {"DATABASE_URL": database, "REDIS_URL": redis_url, "CLUSTER_SECRET": secret}
    return CliRunner().invoke(app, ["account", *words], env=servers)


def test_a_tenant_and_its_administrator_are_made(database: str, redis_url: str) -> None:
    tenant = json.loads(run(database, redis_url, "add-tenant", "Otters", "--json").stdout)
    words = ("add-admin", "root@example.com", "--tenant", tenant["tenant_id"])

    added = run(database, redis_url, *words)
    again = run(database, redis_url, *words)

    assert tenant["api_key"].startswith("sk_test_")
    assert added.exit_code == 0, added.stderr
    assert "otpauth://totp/" in added.stdout
    assert again.exit_code == 2
    assert "has an account" in again.stderr


def test_a_tenant_that_does_not_exist_gets_no_administrator(database: str, redis_url: str) -> None:
    refused = run(database, redis_url, "add-admin", "root@example.com", "--tenant", "tnt_none")

    assert refused.exit_code == 2
    assert "add-tenant" in refused.stderr


def test_a_lost_second_factor_is_replaced(database: str, redis_url: str) -> None:
    tenant = json.loads(run(database, redis_url, "add-tenant", "Otters", "--json").stdout)
    where = ("root@example.com", "--tenant", tenant["tenant_id"], "--json")
    admin = json.loads(run(database, redis_url, "add-admin", *where).stdout)

    reset = json.loads(run(database, redis_url, "reset-second-factor", *where).stdout)

    assert reset["secret"] != admin["second_factor"]["secret"]


def test_a_key_is_published_before_it_signs(database: str, redis_url: str) -> None:
    first = run(database, redis_url, "rotate-key")
    again = run(database, redis_url, "rotate-key")

    assert first.exit_code == 0, first.stderr
    assert first.stdout.count("is active") == first.stdout.count("is next") == 1
    assert again.stdout == first.stdout


def test_without_the_secret_of_the_cluster_nothing_is_sealed(database: str, redis_url: str) -> None:
    refused = run(database, redis_url, "add-tenant", "Otters", secret="")

    assert refused.exit_code == 2
    assert "CLUSTER_SECRET" in refused.stderr
