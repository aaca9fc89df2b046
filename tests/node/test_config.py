"""Settings: what is given is decoded, what is wrong is one sentence, and no secret is shown."""

import pytest
from msgspec import structs

from node.config import MUST_BE, Config, ConfigInvalid, config, environment, shown

HOSTS = "postgresql://ann:s3cret@one:5432,two:5433/dispatch?sslmode=require"
REDIS = "redis://:s3cret@cache:6379/0"


def test_without_settings_a_node_runs_its_own_servers() -> None:
    decoded = config({})

    assert decoded == Config()
    assert decoded.is_embedded


def test_a_node_is_given_servers_with_standbys_and_a_replica() -> None:
    environ = {"DATABASE_URL": HOSTS, "REPLICA_URL": HOSTS, "REDIS_URL": REDIS, "HOME": "elsewhere"}

    decoded = config(environ)

    assert decoded == Config(database_url=HOSTS, replica_url=HOSTS, redis_url=REDIS)
    assert not decoded.is_embedded


def test_numbers_are_read_from_the_text_of_the_environment() -> None:
    decoded = config({"LINK_PORT": "7070", "WORKERS": " 4 "})

    assert (decoded.link_port, decoded.workers) == (7070, 4)


def test_an_empty_setting_counts_as_not_set() -> None:
    decoded = config({"DATABASE_URL": "", "REDIS_URL": "  ", "WORKERS": ""})

    assert decoded == Config()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("DATABASE_URL", "mysql://ann:s3cret@one/dispatch"),
        ("DATABASE_URL", "postgresql://ann:s3cret@one"),
        ("DATABASE_URL", "postgresql://ann:s3c@ret@one/dispatch"),
        ("REPLICA_URL", "s3cret"),
        ("REDIS_URL", "http://:s3cret@cache"),
        ("CLUSTER_NAME", "two words, s3cret"),
        ("CLUSTER_SECRET", "s3cret"),
        ("NODE_NAME", "-s3cret"),
        ("LINK_HOST", "s3cret:80"),
        ("LINK_PORT", "70000"),
        ("LINK_PORT", "s3cret"),
        ("WORKERS", "0"),
        ("PUBLIC_HOST", "https://s3cret"),
        ("PUBLIC_HOST", "s3cret:http"),
        ("TRUSTED_PROXIES", "s3cret"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_must_be(name: str, wrong: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        config({name: wrong})

    assert str(refused.value) == f"{name} must be {MUST_BE[name]}"
    assert "s3cret" not in str(refused.value)


def test_every_setting_says_what_it_must_be() -> None:
    settings = {field.encode_name for field in structs.fields(Config)}

    assert set(MUST_BE) == settings


@pytest.mark.parametrize(
    ("given", "missing"), [("DATABASE_URL", "REDIS_URL"), ("REDIS_URL", "DATABASE_URL")]
)
def test_one_server_of_the_two_is_refused(given: str, missing: str) -> None:
    url = {"DATABASE_URL": HOSTS, "REDIS_URL": REDIS}[given]

    with pytest.raises(ConfigInvalid, match=f"^{given} is set and {missing} is not"):
        config({given: url})


@pytest.mark.parametrize("name", ["FEED_KEPT_DAYS", "FACTS_KEPT_DAYS"])
def test_what_an_order_under_way_may_need_is_always_kept(name: str) -> None:
    with pytest.raises(ConfigInvalid, match=f"^{name} must be a number of days from 14"):
        config({name: "13"})

    kept = [getattr(config({name: days}), name.lower()) for days in ("0", "14")]
    assert kept == [0, 14]


def test_a_replica_without_a_primary_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="a replica needs a primary"):
        config({"REPLICA_URL": HOSTS})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (HOSTS, "postgresql://ann:***@one:5432,two:5433/dispatch?sslmode=require"),
        (REDIS, "redis://:***@cache:6379/0"),
        ("postgresql://ann@one/dispatch", "postgresql://ann@one/dispatch"),
        ("postgresql://one/d?user=ann&password=s3cret", "postgresql://one/d?user=ann&password=***"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
        ("postgresql://ann:s3@c/ret@one/d", "***"),
        ("not a url but s3cret", "***"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_a_config_shows_no_secret_of_its_own() -> None:
    secret = "s3cret" * 4

    spoken = repr(Config(database_url=HOSTS, redis_url=REDIS, cluster_secret=secret))

    assert "s3cret" not in spoken
    assert "CLUSTER_SECRET=***" in spoken
    assert "one:5432" in spoken


def test_proxies_are_trusted_by_name_only() -> None:
    decoded = config({"TRUSTED_PROXIES": "10.0.0.0/8, ::1"})

    assert decoded.proxies().trusts("10.9.8.7")
    assert decoded.proxies().trusts("::1")
    assert not decoded.proxies().trusts("11.0.0.1")
    assert not config({}).proxies().trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("host", "door"),
    [
        ("food.example.org:443", "food.example.org:443"),
        ("food.example.org", "food.example.org:8080"),
        ("[2001:db8::1]", "[2001:db8::1]:8080"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("", "127.0.0.1:8080"),
    ],
)
def test_a_door_is_told_by_the_name_that_clients_know(host: str, door: str) -> None:
    assert config({"PUBLIC_HOST": host}).door(8080) == door


def test_a_process_is_given_the_settings_by_its_environment() -> None:
    settings = Config(show_pulse=True, trusted_proxies="10.0.0.0/8", public_host="food.example.org")

    assert config(environment(settings)) == settings
