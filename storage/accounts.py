"""Tenants, their people, and the clients and keys of integrators, in Postgres.

Every query that is asked on somebody's behalf names his tenant, so that a wrong id finds nothing of
another tenant. What is revoked is not found any more; its row stays.
"""

from collections.abc import Sequence

from asyncpg import Connection, Record
from msgspec import convert

from dispatch.ids import RestaurantId, TenantId
from storage.database import Ask, Database
from storage.queries import queries
from wire.accounts import ApiKeyRow, ClientRow, UserRow

SQL = queries("accounts")


class PostgresAccounts:
    """The people and the integrators of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_tenant(self, tenant_id: TenantId, name: str) -> None:
        """Write a tenant; one that is there stays as it is."""
        await self._database.call(
            lambda there: there.execute(SQL["create_tenant"], tenant_id, name)
        )

    async def has_tenant(self, tenant_id: TenantId) -> bool:
        """Tell whether there is a tenant of that id."""
        return await self._database.call(lambda there: there.fetchval(SQL["has_tenant"], tenant_id))

    async def create_users(self, users: Sequence[UserRow]) -> tuple[bool, ...]:
        """Write people all at once; False for each whose id or e-mail is taken already."""

        async def write(there: Connection) -> list[bool]:
            async with there.transaction():
                return [await _changed(there, "create_user", *_columns(user)) for user in users]

        return tuple(await self._database.call(write))

    async def find_user(self, tenant_id: TenantId, user_id: str) -> UserRow | None:
        """Return a person of the tenant."""
        return await self._found("find_user", UserRow, tenant_id, user_id)

    async def find_user_by_email(self, tenant_id: TenantId, email: str) -> UserRow | None:
        """Return the tenant's person of that normalised e-mail address."""
        return await self._found("find_user_by_email", UserRow, tenant_id, email)

    async def fetch_users(
        self, tenant_id: TenantId, after: str, limit: int, role: str | None
    ) -> tuple[UserRow, ...]:
        """Return the tenant's people by their ids, from the one behind `after` on."""
        return await self._fetched("fetch_users", UserRow, tenant_id, after, limit, role)

    async def save_user(self, user: UserRow) -> None:
        """Write what of a person may change: name, phone, address, restaurants, being blocked."""
        restaurants: list[RestaurantId] = list(user.restaurant_ids)
        told = (user.name, user.phone, user.address, restaurants, user.is_blocked)
        await self._asked(_write("save_user", user.tenant_id, user.user_id, *told))

    async def save_password(self, user_id: str, before: str, after: str) -> bool:
        """Write another hash in the place of that one; False when it is not that one any more."""
        return await self._asked(_write("save_password", user_id, before, after))

    async def save_totp(self, user: UserRow) -> None:
        """Write the person's TOTP secret, whether it is confirmed, and his recovery codes."""
        digests = list(user.recovery_digests)
        told = (user.totp_sealed, user.totp_confirmed, user.totp_step, digests)
        await self._asked(_write("save_totp", user.user_id, *told))

    async def take_totp_step(self, user_id: str, step: int) -> bool:
        """Take the code of a time step; False when it, or a later one, was taken before."""
        return await self._asked(_write("take_totp_step", user_id, step))

    async def take_recovery_digest(self, user_id: str, digest: bytes) -> bool:
        """Take a recovery code; False when the person has none like it."""
        return await self._asked(_write("take_recovery_digest", user_id, digest))

    async def create_client(self, client: ClientRow) -> None:
        """Write a client; one that is there stays as it is."""
        uris, scopes = list(client.redirect_uris), list(client.scopes)
        told = (client.name, client.secret_digest, uris, scopes)
        await self._asked(_write("create_client", client.client_id, client.tenant_id, *told))

    async def find_client(self, client_id: str) -> ClientRow | None:
        """Return a client of whichever tenant."""
        return await self._found("find_client", ClientRow, client_id)

    async def fetch_clients(
        self, tenant_id: TenantId, after: str, limit: int
    ) -> tuple[ClientRow, ...]:
        """Return the tenant's clients by their ids, from the one behind `after` on."""
        return await self._fetched("fetch_clients", ClientRow, tenant_id, after, limit)

    async def revoke_client(self, tenant_id: TenantId, client_id: str) -> bool:
        """Revoke a client; False when the tenant has none of that id."""
        return await self._asked(_write("revoke_client", tenant_id, client_id))

    async def create_api_key(self, key: ApiKeyRow) -> None:
        """Write a key."""
        told = (key.name, key.digest, key.hint, list(key.scopes), key.created_by)
        await self._asked(_write("create_api_key", key.key_id, key.tenant_id, *told))

    async def find_api_key(self, digest: bytes) -> ApiKeyRow | None:
        """Return the key of that digest, of whichever tenant."""
        return await self._found("find_api_key", ApiKeyRow, digest)

    async def fetch_api_keys(
        self, tenant_id: TenantId, after: str, limit: int
    ) -> tuple[ApiKeyRow, ...]:
        """Return the tenant's keys by their ids, from the one behind `after` on."""
        return await self._fetched("fetch_api_keys", ApiKeyRow, tenant_id, after, limit)

    async def revoke_api_key(self, tenant_id: TenantId, key_id: str) -> bool:
        """Revoke a key; False when the tenant has none of that id."""
        return await self._asked(_write("revoke_api_key", tenant_id, key_id))

    async def _asked[T](self, ask: Ask[T]) -> T:
        return await self._database.call(ask)

    async def _found[R](self, name: str, kind: type[R], *told: object) -> R | None:
        row = await self._database.call(lambda there: there.fetchrow(SQL[name], *told))
        return None if row is None else _read(row, kind)

    async def _fetched[R](self, name: str, kind: type[R], *told: object) -> tuple[R, ...]:
        rows = await self._database.call(lambda there: there.fetch(SQL[name], *told))
        return tuple([_read(row, kind) for row in rows])


def _read[R](row: Record, kind: type[R]) -> R:
    return convert(dict(row), kind)


def _write(name: str, *told: object) -> Ask[bool]:
    return lambda there: _changed(there, name, *told)


async def _changed(there: Connection, name: str, *told: object) -> bool:
    """Tell whether the command touched a row."""
    return not (await there.execute(SQL[name], *told)).endswith(" 0")


def _columns(user: UserRow) -> tuple[object, ...]:
    return (
        user.user_id,
        user.tenant_id,
        user.role,
        user.email,
        user.name,
        user.phone,
        user.address,
        user.password_hash,
        user.courier_id,
        list(user.restaurant_ids),
        user.totp_sealed,
        user.totp_confirmed,
    )
