"""What accounts need from outside: stores, and a count of attempts.

Whatever a store raises when it cannot be reached passes through to the asker; only the loop of the
service, which tries again by itself, is told the names of those errors (`Stores.away`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatch.ids import DeviceId, TenantId
from wire.accounts import (
    ApiKeyRow,
    Bucket,
    ClientRow,
    CodeRow,
    DeviceRow,
    EndedRow,
    SessionRow,
    SigningKeyRow,
    UserRow,
)


class Users(Protocol):
    """The people and integrators of all tenants; `storage.accounts` says what each does."""

    async def create_tenant(self, tenant_id: TenantId, name: str) -> None:
        """Write a tenant; one that is there stays as it is."""
        ...

    async def has_tenant(self, tenant_id: TenantId) -> bool:
        """Tell whether there is a tenant of that id."""
        ...

    async def create_users(self, users: Sequence[UserRow]) -> tuple[bool, ...]:
        """Write people; False for each whose id or e-mail is taken."""
        ...

    async def find_user(self, tenant_id: TenantId, user_id: str) -> UserRow | None:
        """Return a person of the tenant."""
        ...

    async def find_user_by_email(self, tenant_id: TenantId, email: str) -> UserRow | None:
        """Return the tenant's person of that address."""
        ...

    async def fetch_users(
        self, tenant_id: TenantId, after: str, limit: int, role: str | None
    ) -> tuple[UserRow, ...]:
        """Return people of the tenant by their ids."""
        ...

    async def save_user(self, user: UserRow) -> None:
        """Write what of a person may change."""
        ...

    async def save_password(self, user_id: str, before: str, after: str) -> bool:
        """Write another hash in the place of that one."""
        ...

    async def save_totp(self, user: UserRow) -> None:
        """Write the second factor of a person."""
        ...

    async def take_totp_step(self, user_id: str, step: int) -> bool:
        """Take a code; False when it was taken before."""
        ...

    async def take_recovery_digest(self, user_id: str, digest: bytes) -> bool:
        """Take a recovery code; False when there is none like it."""
        ...

    async def create_client(self, client: ClientRow) -> None:
        """Write a client."""
        ...

    async def find_client(self, client_id: str) -> ClientRow | None:
        """Return a client that is not revoked."""
        ...

    async def fetch_clients(
        self, tenant_id: TenantId, after: str, limit: int
    ) -> tuple[ClientRow, ...]:
        """Return clients of the tenant by their ids."""
        ...

    async def revoke_client(self, tenant_id: TenantId, client_id: str) -> bool:
        """Revoke a client of the tenant."""
        ...

    async def create_api_key(self, key: ApiKeyRow) -> None:
        """Write a key."""
        ...

    async def find_api_key(self, digest: bytes) -> ApiKeyRow | None:
        """Return a key that is not revoked."""
        ...

    async def fetch_api_keys(
        self, tenant_id: TenantId, after: str, limit: int
    ) -> tuple[ApiKeyRow, ...]:
        """Return keys of the tenant by their ids."""
        ...

    async def revoke_api_key(self, tenant_id: TenantId, key_id: str) -> bool:
        """Revoke a key of the tenant."""
        ...


class Sessions(Protocol):
    """The sessions of all people; `storage.sessions` says what each does."""

    async def open(
        self, sessions: Sequence[tuple[SessionRow, str]], *, idle_s: float, devices_max: int
    ) -> tuple[EndedRow, ...]:
        """Begin sessions on devices of these names; return those that they replace."""
        ...

    async def rotate(
        self,
        session_id: str,
        family: bytes,
        before: bytes,
        after: bytes,
        *,
        idle_s: float,
        s_max: float,
    ) -> SessionRow | tuple[EndedRow, ...]:
        """Replace the good refresh token; else return the session that was ended for a replay."""
        ...

    async def end(self, session_id: str, reason: str) -> tuple[EndedRow, ...]:
        """End a session."""
        ...

    async def end_of_token(self, session_id: str, family: bytes) -> tuple[EndedRow, ...]:
        """End the session that a refresh token belongs to."""
        ...

    async def end_all(self, user_id: str, but: str, reason: str) -> tuple[EndedRow, ...]:
        """End all sessions of a person, except perhaps one."""
        ...

    async def fetch_ended(self, within_s: float, limit: int) -> tuple[EndedRow, ...]:
        """Return what ended lately."""
        ...

    async def forget_old(self) -> None:
        """Delete what ended long ago."""
        ...

    async def has_device(self, user_id: str, device_id: str) -> bool:
        """Tell whether a person has signed in with that device before."""
        ...

    async def fetch_devices(self, user_id: str, limit: int) -> tuple[DeviceRow, ...]:
        """Return a person's devices."""
        ...

    async def name_device(self, user_id: str, device_id: DeviceId, name: str) -> bool:
        """Give a device another name; False for none of his."""
        ...

    async def forget_device(self, user_id: str, device_id: DeviceId) -> tuple[EndedRow, ...] | None:
        """Forget a device and end its session; None for none of his."""
        ...

    async def keep_code(self, code: CodeRow, ttl_s: float) -> None:
        """Keep an authorization code."""
        ...

    async def take_code(self, digest: bytes, session_id: str) -> CodeRow | tuple[EndedRow, ...]:
        """Take a code; else return the session that was ended because the code came twice."""
        ...


class SigningKeys(Protocol):
    """The keys that sign access tokens; `storage.signing_keys` says what each does."""

    async def fetch(self) -> tuple[SigningKeyRow, ...]:
        """Return the keys that are not gone."""
        ...

    async def create(self, key: SigningKeyRow) -> None:
        """Write a key, unless there may be only one in its state and there is."""
        ...

    async def promote(self, active: str | None, following: str | None) -> None:
        """Retire the active key, and have the next one sign."""
        ...

    async def drop(self, kid: str) -> None:
        """Have a key be gone."""
        ...


class Attempts(Protocol):
    """How often somebody tried to sign in; `storage.attempts` says what each does."""

    async def begin(self, buckets: Sequence[Bucket]) -> float:
        """Count an attempt and return 0; or count nothing, and return how long to wait."""
        ...

    async def forgive(self, buckets: Sequence[Bucket]) -> None:
        """Take the attempt back: it was good."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """All of them. `away` are the errors by which they say that they cannot be reached now."""

    users: Users
    sessions: Sessions
    keys: SigningKeys
    attempts: Attempts
    away: tuple[type[Exception], ...]
