"""What stores keep of accounts, and services decide on: people, sessions, clients, keys.

Neither knows the other, so that the words they share stand here. Roles and scopes are text in a
row; `services.accounts` gives them their meaning. Nothing in these Structs is a secret in the
clear: passwords are argon2id hashes, tokens and keys SHA-256 digests of 256 random bits, and what
must be read again (a TOTP secret, a private key) is sealed. Even so, none of it shows in a `repr`.
"""

from typing import Self

from msgspec import Struct, structs

from dispatch.ids import CourierId, DeviceId, Instant, RestaurantId, TenantId

_DOUBLINGS_MAX = 30
CONCEALED = frozenset(
    {
        "access_token",
        "api_key",
        "client_secret",
        "code",
        "code_verifier",
        "digest",
        "family_digest",
        "new_password",
        "otp",
        "password",
        "password_hash",
        "recovery_codes",
        "recovery_digests",
        "refresh_digest",
        "refresh_token",
        "sealed",
        "secret",
        "secret_digest",
        "token",
        "totp_sealed",
        "uri",
    }
)


class Discreet(Struct, frozen=True, kw_only=True):
    """A Struct whose `repr` conceals what nobody should read in a log."""

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, value) for name, value in _fields(self) if name not in CONCEALED]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class UserRow(Discreet, frozen=True, kw_only=True):
    """A person who can sign in; without a `password_hash` only by somebody else's doing."""

    user_id: str
    tenant_id: TenantId
    role: str
    email: str
    name: str
    phone: str = ""
    address: str = ""
    password_hash: str = ""
    courier_id: CourierId | None = None
    restaurant_ids: tuple[RestaurantId, ...] = ()
    totp_sealed: bytes | None = None
    totp_confirmed: bool = False
    totp_step: int = 0
    recovery_digests: tuple[bytes, ...] = ()
    is_blocked: bool = False
    created_at: Instant = Instant(0)

    def with_totp(self, sealed: bytes | None) -> Self:
        """Return the person with another TOTP secret, not confirmed yet, or with none."""
        return structs.replace(
            self, totp_sealed=sealed, totp_confirmed=False, totp_step=0, recovery_digests=()
        )


class DeviceRow(Discreet, frozen=True, kw_only=True):
    """What a person signs in with; `is_signed_in` while a session of it is alive."""

    device_id: DeviceId
    name: str
    created_at: Instant
    seen_at: Instant
    is_signed_in: bool


class SessionRow(Discreet, frozen=True, kw_only=True):
    """One signing in on one device. `family_digest` is of what all its refresh tokens share."""

    session_id: str
    tenant_id: TenantId
    user_id: str
    device_id: DeviceId
    client_id: str
    scopes: tuple[str, ...]
    family_digest: bytes
    refresh_digest: bytes


class EndedRow(Discreet, frozen=True, kw_only=True):
    """A session that was ended, or a client or key that was revoked, and when."""

    session_id: str
    ended_at: Instant


class ClientRow(Discreet, frozen=True, kw_only=True):
    """An app or an integrator; one without a secret is public, and proves itself by PKCE."""

    client_id: str
    tenant_id: TenantId
    name: str
    secret_digest: bytes | None = None
    redirect_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    created_at: Instant = Instant(0)


class ApiKeyRow(Discreet, frozen=True, kw_only=True):
    """An API key; `hint` is its beginning, to tell it from others by."""

    key_id: str
    tenant_id: TenantId
    name: str
    digest: bytes
    hint: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: Instant = Instant(0)


class CodeRow(Discreet, frozen=True, kw_only=True):
    """What an authorization code is good for: that client, that person, that redirect URI."""

    digest: bytes
    client_id: str
    user_id: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]


class SigningKeyRow(Discreet, frozen=True, kw_only=True):
    """A key that signs access tokens; `age_s` is how long it has been in its state."""

    kid: str
    state: str
    public_key: bytes
    sealed: bytes
    age_s: float = 0.0


class Lockout(Struct, frozen=True, kw_only=True):
    """How long the next attempt must wait after so many: nothing at first, then ever twice as long.

    The count is forgotten `kept_s` after the last attempt that counted; one that was told to wait
    does not count, so that nobody is kept out for longer than `s_max` by what others try.
    """

    free: int
    s_max: float
    kept_s: float

    def wait_s(self, count: int) -> float:
        """Return the wait after `count` attempts without success."""
        surplus = min(count - self.free, _DOUBLINGS_MAX)
        return 0.0 if surplus <= 0 else min(self.s_max, 2.0 ** (surplus - 1))


class Bucket(Struct, frozen=True, kw_only=True):
    """What attempts are counted by; `name` is a digest. A success resets it or takes one back."""

    name: str
    lockout: Lockout
    is_reset: bool = False


def _fields(row: Struct) -> list[tuple[str, object]]:
    return [(name, getattr(row, name)) for name in row.__struct_fields__]
