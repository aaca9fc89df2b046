"""Who asks behind a proxy: only what a trusted one has seen itself is believed."""

from collections import Counter

import pytest

from api.peers import Peers
from api.proxies import (
    HOPS_MAX,
    NETWORKS_MAX,
    NOBODY,
    Client,
    Passed,
    ProxiesInvalid,
    passed,
    proxies,
)

INNER, OUTER, STRANGER = "10.0.0.1", "192.0.2.7", "203.0.113.9"
TRUSTED = proxies(f"10.0.0.0/8, {OUTER}, 2001:db8:ffff::/48")


def asks(forwarded_for: str = "", forwarded: str = "", proto: str = "") -> Client:
    """Who asks, by what came through the inner proxy."""
    told = Passed(forwarded=forwarded, forwarded_for=forwarded_for, forwarded_proto=proto)
    return TRUSTED.client(INNER, "http", told)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (STRANGER, STRANGER),
        (f" {STRANGER} ", STRANGER),
        (f"{STRANGER}:51234", STRANGER),
        (f"{STRANGER}, {OUTER}", STRANGER),
        (f"{STRANGER},10.9.9.9 ,{OUTER}", STRANGER),
        ("2001:db8::17", "2001:db8::17"),
        ("[2001:db8::17]:443", "2001:db8::17"),
        ("2001:DB8:0:0::17, 2001:db8:ffff::1", "2001:db8::17"),
        (f"::ffff:{STRANGER}", STRANGER),
        ("10.9.9.9", "10.9.9.9"),
    ],
)
def test_the_first_that_is_no_trusted_proxy_is_who_asks(written: str, address: str) -> None:
    assert asks(written).address == address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (f"127.0.0.1, {STRANGER}", STRANGER),
        (f"{INNER}, 10.1.1.1, {STRANGER}", STRANGER),
        (f"1.1.1.1, {STRANGER}, {OUTER}", STRANGER),
        (f"1.1.1.1, unknown, {OUTER}", OUTER),
        (f"1.1.1.1, , {OUTER}", OUTER),
        ("999.1.1.1", INNER),
        ("1.1.1.1 2.2.2.2", INNER),
        ("fe80::1%eth0", INNER),
        ("1.1.1.1:http", INNER),
        ("[::1", "::1"),
        ("\N{ARABIC-INDIC DIGIT ONE}.1.1.1", INNER),
        ("16909060", INNER),
        ("<script>", INNER),
        (",,,,", INNER),
    ],
)
def test_what_a_client_makes_up_is_not_believed(written: str, address: str) -> None:
    assert asks(written).address == address


@pytest.mark.parametrize(
    ("written", "client"),
    [
        (f"for={STRANGER}", Client(STRANGER, "http")),
        (f'For="{STRANGER}:4711";Proto=HTTPS;by={INNER}', Client(STRANGER, "https")),
        ('for="[2001:db8::17]:443";proto=https', Client("2001:db8::17", "https")),
        (f"for=1.1.1.1;proto=https, for={STRANGER}", Client(STRANGER, "http")),
        (f'by="a,b;for=1.1.1.1";for={STRANGER}', Client(STRANGER, "http")),
        (f"for={STRANGER};proto=https,for={OUTER};proto=http", Client(STRANGER, "https")),
        ("for=_hidden", Client(INNER, "http")),
        ("for=unknown;proto=https", Client(INNER, "http")),
        (f'for="{STRANGER}', Client(INNER, "http")),
        (f"for={STRANGER};proto=gopher", Client(STRANGER, "http")),
        ("proto=https", Client(INNER, "http")),
        ("for=;;;==,", Client(INNER, "http")),
        (f'for={STRANGER};host="evil;for=6.6.6.6;x";proto=https', Client(STRANGER, "https")),
        (f'for={STRANGER};host="a\\";for=6.6.6.6;proto=https;b"', Client(STRANGER, "http")),
        (f"for={STRANGER};for=6.6.6.6", Client(INNER, "http")),
    ],
)
def test_the_standard_header_is_read_hop_by_hop(written: str, client: Client) -> None:
    assert asks(forwarded=written) == client


def test_a_stranger_is_never_believed() -> None:
    told = Passed(forwarded_for="1.1.1.1", forwarded_proto="https")

    assert TRUSTED.client(STRANGER, "http", told) == Client(STRANGER, "http")
    assert TRUSTED.client("no address", "http", told) == Client("no address", "http")
    assert NOBODY.client(INNER, "http", told) == Client(INNER, "http")


def test_two_headers_that_do_not_agree_come_from_the_proxy() -> None:
    assert asks(STRANGER, forwarded="for=1.1.1.1") == Client(INNER, "http")
    assert asks(STRANGER, forwarded=f"for={STRANGER}") == Client(STRANGER, "http")


@pytest.mark.parametrize(
    ("written", "proto", "client"),
    [
        (STRANGER, "https", Client(STRANGER, "https")),
        (f"{STRANGER}, {OUTER}", "https, http", Client(STRANGER, "https")),
        (f"{STRANGER}, {OUTER}", "http", Client(STRANGER, "http")),
        (f"1.1.1.1, {STRANGER}", "https, http", Client(STRANGER, "http")),
        (STRANGER, "ftp", Client(STRANGER, "http")),
        ("", "https", Client(INNER, "https")),
        ("", "", Client(INNER, "http")),
    ],
)
def test_the_scheme_is_that_of_the_same_hop(written: str, proto: str, client: Client) -> None:
    assert asks(written, proto=proto) == client


def test_so_many_hops_are_looked_at_and_no_more() -> None:
    chain = ", ".join([STRANGER, *[INNER] * HOPS_MAX])

    assert asks(chain).address == INNER
    assert asks(", ".join([STRANGER, *[INNER] * (HOPS_MAX - 1)])).address == STRANGER


@pytest.mark.parametrize("opening", ['for="', 'for="\\', "for=;", '"\\', "for=1;", " ,", "[", "\\"])
def test_a_long_header_of_rubbish_is_read_in_a_moment(opening: str) -> None:
    rubbish = opening * 4_000

    assert asks(rubbish, rubbish, rubbish) == Client(INNER, "http")


def test_a_header_that_comes_twice_is_one() -> None:
    headers = [
        (b"X-Forwarded-For", b"1.1.1.1"),
        (b"host", b"example.org"),
        (b"x-forwarded-for", STRANGER.encode()),
        (b"Forwarded", b"for=\xff"),
    ]

    told = passed(headers)

    assert told == Passed(forwarded="for=\xff", forwarded_for=f"1.1.1.1,{STRANGER}")


@pytest.mark.parametrize(
    "written",
    [
        "0.0.0.0/0",
        "10.0.0.0/8,::/0",
        "10.1.2.3/8",
        "10.0.0.0/33",
        "proxy.example.org",
        "10.0.0.1;10.0.0.2",
        ",".join(["10.0.0.1"] * (NETWORKS_MAX + 1)),
    ],
)
def test_a_list_of_proxies_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ProxiesInvalid):
        proxies(written)


def test_an_empty_list_trusts_nobody() -> None:
    assert proxies("") == proxies(" , ") == NOBODY


def test_a_subscriber_has_so_many_connections_from_all_of_his_net() -> None:
    peers = Peers(2)
    for peer in ("2001:db8::1", "2001:db8::2"):
        peers.arrive(peer)

    assert not peers.has_room("2001:db8::3")
    assert peers.has_room("2001:db8:0:1::3")
    peers.leave("2001:db8::1")
    assert peers.has_room("2001:db8::3")


@pytest.mark.parametrize(
    "told",
    [
        Passed(forwarded='for="'),
        Passed(forwarded_for=STRANGER, forwarded="for=1.1.1.1"),
        Passed(forwarded_for="unknown"),
    ],
)
def test_who_hides_behind_a_proxy_has_no_more_than_others(told: Passed) -> None:
    peers = Peers(1, TRUSTED)
    for _ in range(3):
        peers.arrive(INNER)

    moved = [peers.moved(INNER, told) for _ in range(3)]

    assert moved[1:] == [None, None]
    assert peers.moved(INNER, Passed(forwarded_proto="https")) == INNER


def test_a_trusted_proxy_has_any_number_and_its_clients_have_not() -> None:
    peers = Peers(1, TRUSTED)
    for _ in range(3):
        peers.arrive(INNER)

    told = Passed(forwarded_for=STRANGER)
    moved = Counter(peers.moved(INNER, told) for _ in range(3))

    assert peers.has_room(INNER)
    assert moved == {STRANGER: 1, None: 2}
    assert peers.count == 3
    peers.leave(STRANGER)
    assert peers.has_room(STRANGER)
