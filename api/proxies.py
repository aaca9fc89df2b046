"""Who asks, where a proxy stands between: the address and the scheme that trusted proxies tell of.

What a request says of its own way (`Forwarded`, RFC 7239; `X-Forwarded-For`, `X-Forwarded-Proto`)
is only believed of the proxies that an operator has named, each for the one hop that it saw: from
the nearest hop outwards, up to the first address that is no trusted proxy. That one is the client,
whatever stands before it, since he may have written that himself. What cannot be read ends the
search at the last address that was sure. A request with both kinds of headers that do not agree is
taken to come from the proxy: one of them was passed on as a stranger wrote it.

Without trusted proxies none of this is even read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from msgspec import Struct

HOPS_MAX = 16
"""Hops that are looked at, from the nearest; whoever is beyond them stays unknown."""
NETWORKS_MAX = 64
SCHEMES = frozenset({"http", "https"})

_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?+)++')
"""One hop of `Forwarded`: a comma within quotes parts nothing. A quote that is never closed goes on
to the end, so that no text is looked at twice."""
_PAIR = re.compile(
    r"""\s*+([!#$%&'*+.^_`|~\w-]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;",]++))\s*+(?:;|$)"""
)
"""One thing that is told of a hop; what stands within quotes is told of nothing else."""
_PORT = re.compile(r":\d{1,5}")


class ProxiesInvalid(ValueError):
    """What should name the trusted proxies does not."""


class Client(NamedTuple):
    """Where a request comes from, and by which scheme it was made."""

    address: str
    scheme: str


class Passed(Struct, frozen=True, kw_only=True):
    """What a request's headers say of the way it came; a header that comes twice is joined."""

    forwarded: str = ""
    forwarded_for: str = ""
    forwarded_proto: str = ""


class _Hop(NamedTuple):
    address: str | None
    scheme: str | None


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are believed."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def trusts(self, address: str) -> bool:
        """Tell whether a trusted proxy has that address."""
        found = _find_address(address) if self.networks else None
        return found is not None and any(ip_address(found) in one for one in self.networks)

    def client(self, peer: str, scheme: str, passed: Passed) -> Client:
        """Return who asks, of a request that came from the address `peer`."""
        sure = Client(peer, scheme)
        if not self.trusts(peer):
            return sure
        by_standard = [_standard_hop(one) for one in _nearest(_ELEMENT.findall(passed.forwarded))]
        by_custom = list(_custom_hops(passed))
        found = [self._outermost(sure, hops) for hops in (by_standard, by_custom) if hops]
        if not found:
            told = _find_scheme(passed.forwarded_proto.rpartition(",")[2])
            return Client(peer, told or scheme)
        agree = len({client.address for client in found}) == 1
        return found[-1] if agree else sure

    def _outermost(self, sure: Client, hops: Sequence[_Hop]) -> Client:
        """Return the first hop from the end that is no trusted proxy, or the last sure one."""
        for address, scheme in reversed(hops):
            if address is None:
                break
            sure = Client(address, scheme or sure.scheme)
            if not self.trusts(address):
                break
        return sure


NOBODY = Proxies()
"""Trust no proxy."""


def proxies(written: str) -> Proxies:
    """Return the proxies named by addresses and networks, parted by commas; raises ProxiesInvalid.

    Nobody trusts everybody: then an address would be whatever a client says it is.
    """
    named = [one.strip() for one in written.split(",") if one.strip()]
    try:
        networks = tuple(ip_network(one) for one in named)
    except ValueError as error:
        raise ProxiesInvalid(str(error)) from error
    if len(networks) > NETWORKS_MAX or any(one.prefixlen == 0 for one in networks):
        raise ProxiesInvalid(f"at most {NETWORKS_MAX} networks, and none that is everybody")
    return Proxies(networks)


def passed(headers: Iterable[tuple[bytes, bytes]]) -> Passed:
    """Return what these headers say of a request's way."""
    told: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        told.setdefault(name.lower(), []).append(value)

    def joined(name: bytes) -> str:
        return b",".join(told.get(name, ())).decode("latin-1")

    return Passed(
        forwarded=joined(b"forwarded"),
        forwarded_for=joined(b"x-forwarded-for"),
        forwarded_proto=joined(b"x-forwarded-proto"),
    )


def _nearest[H](hops: Sequence[H]) -> Sequence[H]:
    """Return the hops that are looked at."""
    return hops[-HOPS_MAX:]


def _custom_hops(passed: Passed) -> Iterator[_Hop]:
    """Yield the hops of `X-Forwarded-For`, each with its scheme if there are as many of those."""
    addresses = passed.forwarded_for.split(",") if passed.forwarded_for.strip() else []
    schemes = passed.forwarded_proto.split(",")
    if len(schemes) != len(addresses):
        schemes = schemes[-1:] * len(addresses)
    for address, scheme in _nearest(list(zip(addresses, schemes, strict=True))):
        yield _Hop(_find_address(address), _find_scheme(scheme))


def _standard_hop(element: str) -> _Hop:
    """Return one hop of `Forwarded`; of what is not of its form, nothing is known."""
    said: dict[str, str] = {}
    written, at = element.strip(), 0
    while at < len(written):
        pair = _PAIR.match(written, at)
        if pair is None or pair[1].lower() in said:
            return _Hop(None, None)
        said[pair[1].lower()] = pair[2] or pair[3] or ""
        at = pair.end()
    return _Hop(_find_address(said.get("for", "")), _find_scheme(said.get("proto", "")))


def _find_scheme(written: str) -> str | None:
    scheme = written.strip().lower()
    return scheme if scheme in SCHEMES else None


def _find_address(written: str) -> str | None:
    """Return an address as it is written plainly, without its port; None for what is none."""
    bare = written.strip()
    if bare.startswith("["):
        host, _, port = bare[1:].partition("]")
    elif bare.count(":") == 1:
        host, _, port = bare.partition(":")
        port = f":{port}"
    else:
        host, port = bare, ""
    if (port and not _PORT.fullmatch(port)) or "%" in host:
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
