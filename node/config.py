"""What an operator sets for one node: decoded once, and nowhere else is the environment read.

The names of the settings are those of the environment (`DATABASE_URL`); an option of a command
stands for the setting of its name and wins over it. Without `DATABASE_URL` and `REDIS_URL` the node
runs servers of its own under `VAR_DIR`. What is wrong with a setting is one sentence that names it;
no secret is ever in such a sentence, nor in what a `Config` shows of itself.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from api.proxies import Proxies, ProxiesInvalid, proxies

_ADDRESS = r"\[[0-9a-fA-F:.]+\]|[\w.-]+"
_HOST = rf"({_ADDRESS})(:\d{{1,5}})?"
_POSTGRES = rf"^postgres(ql)?://([^@/\s]*@)?{_HOST}(,{_HOST})*/[^/?\s]+(\?\S*)?$"
_REDIS = rf"^(rediss?://([^@/\s]*@)?{_HOST}(/\d*)?(\?\S*)?|unix://\S+)$"
SECRETS = frozenset({"CLUSTER_SECRET", "DATABASE_URL", "REPLICA_URL", "REDIS_URL"})

_POSTGRES_IS = (
    "like postgresql://user:password@host:5432/dispatch, with several hosts separated by commas,"
    " and %40 for an @ in the password"
)
_NAME_IS = "of letters, digits, dots and hyphens, 63 at most"
MUST_BE: Mapping[str, str] = {
    "DATABASE_URL": _POSTGRES_IS,
    "REPLICA_URL": _POSTGRES_IS,
    "REDIS_URL": "like redis://:password@host:6379/0, or rediss:// by TLS",
    "CLUSTER_NAME": _NAME_IS,
    "CLUSTER_SECRET": "of 16 to 1,024 characters, and the same on all nodes",
    "NODE_NAME": _NAME_IS,
    "LINK_HOST": "a host name or address of this machine, as the other nodes see it",
    "LINK_PORT": "a port, or 0 for any that is free",
    "HTTP_HOST": "a host name or address of this machine on which clients are served",
    "HTTP_PORT": "a port, or 0 for any that is free; further workers take the ports after it",
    "PUBLIC_HOST": (
        "the host name or address by which clients reach this machine, and, behind a proxy, the"
        " port: food.example.org:443"
    ),
    "TRUSTED_PROXIES": (
        "the addresses or networks of your proxies, separated by commas, like"
        " 10.1.2.3,192.168.0.0/24,2001:db8::/32, and never that of everybody"
    ),
    "SHOW_PULSE": "1 or 0: whether the page at / shows all tenants' numbers together to everybody",
    "WORKERS": "a number of processes from 1 to 64",
    "AUDIT_EVERY": "a number of rounds from 1 to 1,000,000, or 0 for no audits",
    "FEED_KEPT_DAYS": "a number of days from 14 to 36,500, or 0 to keep messages for ever",
    "FACTS_KEPT_DAYS": "a number of days from 14 to 36,500, or 0 to keep facts for ever",
    "VAR_DIR": "a folder",
}
"""How each setting is told to whoever got it wrong."""

KEPT_DAYS_MIN = 14
"""What is younger may belong to an order that is under way."""

type Postgres = Annotated[str, Meta(pattern=_POSTGRES)]
type Redis = Annotated[str, Meta(pattern=_REDIS)]
type Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
type Secret = Annotated[str, Meta(min_length=16, max_length=1024)]
type Port = Annotated[int, Meta(ge=0, le=65_535)]
type Workers = Annotated[int, Meta(ge=1, le=64)]
type AuditEvery = Annotated[int, Meta(ge=0, le=1_000_000)]
type Days = Annotated[int, Meta(ge=0, le=36_500)]
type Host = Annotated[str, Meta(pattern=rf"^({_ADDRESS})$")]
type PublicHost = Annotated[str, Meta(pattern=rf"^{_HOST}$")]


class ConfigInvalid(Exception):
    """A setting cannot be what it is; the message is one sentence that names it."""


class Config(Struct, frozen=True, kw_only=True, rename="upper"):
    """The settings of a node. URLs that are None mean servers of our own under `var_dir`.

    `replica_url` is for reads that may be a moment late. `link_host` and `link_port` are where the
    other nodes reach this one, `http_host` and `http_port` where clients do, who know the machine
    as `public_host` if that is another name. Without `cluster_secret` a node is alone on its
    machine. Only `trusted_proxies` are believed who it is that asks through them. With `show_pulse`
    the page at `/` has numbers, which are those of all tenants together. One round in `audit_every`
    is audited in a process of its own, none if that is 0.
    Messages of feeds and facts of the journal are kept for so many days, for ever if that is 0, and
    in any case for longer than an order lives.
    """

    database_url: Postgres | None = None
    replica_url: Postgres | None = None
    redis_url: Redis | None = None
    cluster_name: Name = "dispatch"
    cluster_secret: Secret | None = None
    node_name: Name | None = None
    link_host: Host = "127.0.0.1"
    link_port: Port = 0
    http_host: Host = "127.0.0.1"
    http_port: Port = 0
    public_host: PublicHost | None = None
    trusted_proxies: str = ""
    show_pulse: bool = False
    workers: Workers = 1
    audit_every: AuditEvery = 0
    feed_kept_days: Days = 90
    facts_kept_days: Days = 0
    var_dir: str = "var"

    @property
    def is_embedded(self) -> bool:
        """Whether the node runs Postgres and Valkey itself."""
        return self.database_url is None

    def proxies(self) -> Proxies:
        """Return the proxies that are believed; raises ProxiesInvalid."""
        return proxies(self.trusted_proxies)

    def door(self, port: int) -> str:
        """Return where clients reach the node that takes them in at this port of the machine."""
        host = self.public_host or self.http_host
        return host if re.search(r":\d{1,5}$", host) else f"{host}:{port}"

    def shown(self) -> dict[str, str]:
        """Return the settings for people to read, without what is secret."""
        settings = {name.upper(): getattr(self, name) for name in self.__struct_fields__}
        return {
            name: shown(str(value)) if name in SECRETS else str(value)
            for name, value in settings.items()
            if value is not None
        }

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value}' for name, value in self.shown().items())})"


def config(environ: Mapping[str, str]) -> Config:
    """Decode the settings; an empty one counts as not set. Raises ConfigInvalid."""
    names = Config.__struct_encode_fields__
    given = {name: environ[name].strip() for name in names if environ.get(name, "").strip()}
    try:
        decoded = msgspec.convert(given, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(_sentence(str(error))) from None  # The cause may show a secret.
    if (decoded.database_url is None) != (decoded.redis_url is None):
        given_one, missing = ("DATABASE_URL", "REDIS_URL")[:: 1 if decoded.database_url else -1]
        raise ConfigInvalid(
            f"{given_one} is set and {missing} is not: set both, or neither to have servers started"
        )
    for name in ("FEED_KEPT_DAYS", "FACTS_KEPT_DAYS"):
        if 0 < getattr(decoded, name.lower()) < KEPT_DAYS_MIN:
            raise ConfigInvalid(f"{name} must be {MUST_BE[name]}")
    try:
        decoded.proxies()
    except ProxiesInvalid:
        raise ConfigInvalid(
            f"TRUSTED_PROXIES must be {MUST_BE['TRUSTED_PROXIES']}"
        ) from None  # What was written is not repeated, as with any other setting.
    if decoded.replica_url is not None and decoded.is_embedded:
        raise ConfigInvalid("REPLICA_URL is set and DATABASE_URL is not: a replica needs a primary")
    return decoded


def from_environment(options: Mapping[str, str | None] | None = None) -> Config:
    """Return the settings of this process; options that are given win. Raises ConfigInvalid."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    return config({**os.environ, **given})


def environment(settings: Config) -> dict[str, str]:
    """Return the environment of a process that is to run by these settings."""
    given = {name.upper(): getattr(settings, name) for name in settings.__struct_fields__}
    return dict(os.environ) | {
        name: str(value) for name, value in given.items() if value is not None
    }


def shown(url: str) -> str:
    """Return a URL for people to read, without its passwords; of anything else, nothing."""
    if not re.search(f"{_POSTGRES}|{_REDIS}", url):
        return "***"
    without = re.sub(r"(?<=[?&])(password|passfile)=[^&]*", r"\1=***", url)
    authority = urlsplit(without).netloc
    user, at, hosts = authority.rpartition("@")
    name, colon, _ = user.partition(":")
    return without.replace(authority, f"{name}{':***' if colon else ''}{at}{hosts}", 1)


def _sentence(said: str) -> str:
    """Say of which setting msgspec complains, and what it must be, but not what it is."""
    named = re.search(r"\$\.([A-Z_]+)", said)
    assert named, f"msgspec names no setting in {said!r}"
    return f"{named.group(1)} must be {MUST_BE[named.group(1)]}"
