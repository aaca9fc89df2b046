"""The rules of accounts: who may what, what a password must be, and when a key signs. PURE.

Nothing here acts, and time comes as an argument. The table `SCOPES` is the most that a role can
ever do: a token has what was asked for, of what its client may ask for, of what its role has.
"""

import re
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlsplit

from msgspec import Struct

from services.accounts.principal import Role, Scope
from wire.accounts import SigningKeyRow

PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 256
EMAIL_CHARS_MAX = 254
DISTINCT_MIN = 4

_OWN = {Scope.ACCOUNT_READ, Scope.ACCOUNT_WRITE, Scope.FEED_READ}
_READS = {
    Scope.ORDERS_READ,
    Scope.DELIVERIES_READ,
    Scope.RESTAURANTS_READ,
    Scope.COURIERS_READ,
    Scope.EVENTS_READ,
}
_WRITES = {
    Scope.ORDERS_WRITE,
    Scope.DELIVERIES_WRITE,
    Scope.RESTAURANTS_WRITE,
    Scope.COURIERS_WRITE,
    Scope.ZONES_WRITE,
}

SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.ANONYMOUS: frozenset(),
    Role.CUSTOMER: frozenset(
        _OWN
        | {Scope.ORDERS_READ, Scope.ORDERS_WRITE, Scope.DELIVERIES_READ, Scope.RESTAURANTS_READ}
    ),
    Role.COURIER: frozenset(
        _OWN
        | {
            Scope.ORDERS_READ,
            Scope.DELIVERIES_READ,
            Scope.DELIVERIES_WRITE,
            Scope.COURIERS_READ,
            Scope.COURIERS_WRITE,
            Scope.RESTAURANTS_READ,
        }
    ),
    Role.RESTAURANT: frozenset(
        _OWN
        | {
            Scope.ORDERS_READ,
            Scope.ORDERS_WRITE,
            Scope.DELIVERIES_READ,
            Scope.RESTAURANTS_READ,
            Scope.RESTAURANTS_WRITE,
        }
    ),
    Role.SUPPORT: frozenset(
        _OWN
        | _READS
        | {
            Scope.ORDERS_WRITE,
            Scope.DELIVERIES_WRITE,
            Scope.COURIERS_WRITE,
            Scope.ZONES_WRITE,
        }
    ),
    Role.ADMIN: frozenset(Scope),
    Role.INTEGRATOR: frozenset(_READS | _WRITES | {Scope.FEED_READ, Scope.TENANT_ADMIN}),
}
"""The most that each role may do."""

UNPROVEN = frozenset({Scope.ACCOUNT_READ, Scope.ACCOUNT_WRITE})
"""What somebody may do who must have a second factor, and has none yet: get one."""
SECOND_FACTOR = frozenset({Role.SUPPORT, Role.ADMIN})
"""Roles that must have a second factor; others may."""
PERSONS = frozenset({Role.CUSTOMER, Role.COURIER, Role.RESTAURANT, Role.SUPPORT, Role.ADMIN})
"""Roles that a person has; an integrator is a client or a key."""
_MADE_BY: Mapping[Role, frozenset[Role]] = {
    Role.ADMIN: PERSONS,
    Role.INTEGRATOR: PERSONS - SECOND_FACTOR,
}

# What people choose first. A password counts as one of these with its letters written as digits or
# signs, or with digits and signs before or behind: `P4ssw0rd!` and `welcome2024` are here too. The
# list was written down from general knowledge, not copied from any collection of leaked passwords.
_COMMON = (
    "abc abcd access account admin adminadmin administrator amanda andrea andrew angel "
    "anthony apple arsenal asdf asdfasdf asdfgh asdfghjk asdfghjkl ashley autumn babygirl "
    "baseball basketball batman blink buster butterfly changeme charlie cheese chelsea "
    "chocolate computer cookie courier daniel default delivery diamond dispatch dolphin "
    "donald dragon eminem family flower football forever freedom friend friends george ginger "
    "google guest hannah hello hockey hunter iloveu iloveyou internet jennifer jessica jordan "
    "joshua justin killer letmein liverpool login london lovely loveme manager master matrix "
    "matthew maverick michael michelle monkey mother mustang myspace nicole ninja nothing "
    "orange pass passw password passwort pepper phoenix please pokemon princess purple qazwsx "
    "qazwsxedc qwer qwert qwerty qwertyui qwertyuiop rainbow ranger restaurant robert "
    "samantha samsung secret service shadow silver snoopy soccer spring starwars summer "
    "sunshine superman sweet test tester testing testtest thomas tigger trustno unknown user "
    "welcome whatever william winter yellow zaqwsx zxcvbn zxcvbnm "
)
COMMON = frozenset(_COMMON.split())
_LETTERS = str.maketrans("4301578@$!", "aeolstba" + "si")
_RUNS = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_RUN_MIN = 5
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def is_id(written: str) -> bool:
    """Tell whether it can be an id at all."""
    return _ID.fullmatch(written) is not None


def email_of(written: str) -> str | None:
    """Return an e-mail address as it is kept and compared; None for what is none."""
    told = unicodedata.normalize("NFKC", written).strip().casefold()
    fits = len(told) <= EMAIL_CHARS_MAX and _EMAIL.fullmatch(told)
    return told if fits else None


def weakness(password: str, *, known: Iterable[str] = ()) -> str | None:
    """Return why a password cannot be taken; `known` is what everybody knows of the person."""
    folded = unicodedata.normalize("NFKC", password).casefold()
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        return f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
    if len(set(folded)) < DISTINCT_MIN or _is_common(folded):
        return "this password is among the first that anybody would try"
    names = {part for name in known for part in (name.casefold(), name.casefold().split("@")[0])}
    if _stripped(folded) in names or folded in names:
        return "a password is not one's own name or address"
    return None


def _is_common(folded: str) -> bool:
    plain = folded.translate(_LETTERS)
    stems = {
        folded,
        _stripped(folded),
        plain,
        _stripped(plain),
        _stripped(folded).translate(_LETTERS),
    }
    return not COMMON.isdisjoint(stems) or _is_run(folded)


def _is_run(folded: str) -> bool:
    """Tell whether it is made of neighbours on the keyboard or in the alphabet."""
    left = folded
    for run in _RUNS:
        for line in (run, run[::-1]):
            for size in range(len(line), _RUN_MIN - 1, -1):
                for start in range(len(line) - size + 1):
                    left = left.replace(line[start : start + size], "")
    return len(left) < DISTINCT_MIN


def _stripped(folded: str) -> str:
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)


def challenge_of(verifier: str) -> str:
    """Return the PKCE challenge (S256, RFC 7636) of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def is_challenge(written: str) -> bool:
    """Tell whether it can be a challenge by S256."""
    return _CHALLENGE.fullmatch(written) is not None


def is_verified(verifier: str, challenge: str) -> bool:
    """Tell whether the verifier is the one that the challenge was made of."""
    is_one = _VERIFIER.fullmatch(verifier) is not None
    return is_one and compare_digest(challenge_of(verifier).encode(), challenge.encode())


def is_redirect_uri(uri: str) -> bool:
    """Tell whether a client may be sent there: https, this machine, or an app's own scheme."""
    try:
        parts = urlsplit(uri)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if re.search(r"[^\x21-\x7e]", uri) or "#" in uri or "@" in parts.netloc or not port_is_good:
        return False
    match parts.scheme:
        case "https":
            return bool(parts.hostname)
        case "http":
            return parts.hostname in _LOCAL
        case scheme:
            return _APP_SCHEME.fullmatch(scheme) is not None


def granted(role: Role, allowed: Iterable[str], asked: str | None) -> frozenset[Scope]:
    """Return what a token opens: of what the role may and the client may, what was asked for.

    A client with no scopes of its own may ask for all that its user has.
    """
    may = {str(scope) for scope in SCOPES[role]}
    allowed = set(allowed)
    may &= allowed or may
    if asked is not None and asked.strip():
        may &= set(asked.split())
    return frozenset(Scope(scope) for scope in may)


def may_make(maker: Role, role: Role) -> bool:
    """Tell whether the one may make an account of the other, change it, and sign it in."""
    return role in _MADE_BY.get(maker, ())


class KeyTerms(Struct, frozen=True, kw_only=True):
    """How long a signing key is in each of its states."""

    active_s: float = 30 * 86_400.0
    """Time for which a key signs."""
    next_s: float = 600.0
    """Time for which a key is published, at least, before it signs: every node and every reader of
    the published keys has looked again by then."""
    retiring_s: float = 3_600.0
    """Time for which a key that signs no more is believed; longer than any token holds."""


class Rotation(Struct, frozen=True, kw_only=True):
    """What is due with the signing keys: keys to make in a state, to promote, and to drop."""

    create: tuple[str, ...] = ()
    retire: str | None = None
    activate: str | None = None
    drop: tuple[str, ...] = ()


def rotation(keys: Sequence[SigningKeyRow], terms: KeyTerms, *, can_sign: bool) -> Rotation:
    """Return what is due; `can_sign` tells whether the active key can be opened here.

    One that cannot is retired at once, for nobody could sign with it: what it signed still counts.
    """
    active = next((key for key in keys if key.state == "active"), None)
    following = next((key for key in keys if key.state == "next"), None)
    drop = tuple(
        key.kid for key in keys if key.state == "retiring" and key.age_s > terms.retiring_s
    )
    if active is None:
        return Rotation(create=("active",), drop=drop)
    if not can_sign:
        spoiled = () if following is None else (following.kid,)
        return Rotation(create=("active",), retire=active.kid, drop=drop + spoiled)
    if following is None:
        is_due = active.age_s > terms.active_s - 2 * terms.next_s
        return Rotation(create=("next",) if is_due else (), drop=drop)
    if following.age_s < terms.next_s or active.age_s < terms.active_s:
        return Rotation(drop=drop)
    return Rotation(retire=active.kid, activate=following.kid, drop=drop)
