"""Integrators: their OAuth clients and their API keys, each shown its secret once.

Whoever makes one can give it no more than he has himself. What is revoked is refused here at once,
and on other nodes as soon as they look again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec import Struct

from dispatch.ids import Instant, TenantId
from dispatch.step import Code
from services.accounts import secret
from services.accounts.denied import Denied, not_there
from services.accounts.ports import Stores
from services.accounts.principal import Principal, Role, Scope
from services.accounts.rules import SCOPES, is_redirect_uri
from wire.accounts import ApiKeyRow, ClientRow, EndedRow


class NewClient(Struct, frozen=True, kw_only=True):
    """A client that is to be: public for apps of people, confidential for servers."""

    name: str
    is_public: bool
    redirect_uris: tuple[str, ...]
    scopes: tuple[Scope, ...]


@dataclass(slots=True, kw_only=True)
class Integrators:
    """The clients and keys of all tenants."""

    stores: Stores
    clock: Callable[[], Instant]
    entropy: Callable[[int], bytes]
    noted: Callable[[Iterable[EndedRow]], None]

    async def create_client(
        self, tenant_id: TenantId, client: NewClient, client_id: str
    ) -> tuple[ClientRow, str | None]:
        """Make a client; return it with its secret, if it has one."""
        wrong = [uri for uri in client.redirect_uris if not is_redirect_uri(uri)]
        if wrong:
            told = "a redirect URI is https, http on this machine, or an app's own scheme"
            raise Denied(Code.INVALID, f"{wrong[0][:128]!r} will not do: {told}")
        text = None if client.is_public else secret.a_secret(self.entropy)
        row = ClientRow(
            client_id=client_id,
            tenant_id=tenant_id,
            name=client.name,
            secret_digest=None if text is None else secret.digest_of(text),
            redirect_uris=client.redirect_uris,
            scopes=tuple(sorted(set(client.scopes))),
            created_at=self.clock(),
        )
        await self.stores.users.create_client(row)
        return row, text

    async def revoke_client(self, tenant_id: TenantId, client_id: str) -> None:
        """Revoke a client: its own tokens are refused, and its users' sessions go no further."""
        if not await self.stores.users.revoke_client(tenant_id, client_id):
            raise not_there()
        self.noted([EndedRow(session_id=client_id, ended_at=self.clock())])

    async def create_api_key(
        self,
        tenant_id: TenantId,
        *,
        key_id: str,
        name: str,
        scopes: Iterable[Scope],
        is_live: bool,
        created_by: str,
    ) -> tuple[ApiKeyRow, str]:
        """Make a key; return it with the key itself."""
        text = secret.an_api_key(self.entropy, is_live=is_live)
        row = ApiKeyRow(
            key_id=key_id,
            tenant_id=tenant_id,
            name=name,
            digest=secret.digest_of(text),
            hint=secret.hint_of(text),
            scopes=tuple(sorted(set(scopes) & SCOPES[Role.INTEGRATOR])),
            created_by=created_by,
            created_at=self.clock(),
        )
        await self.stores.users.create_api_key(row)
        return row, text

    async def revoke_api_key(self, tenant_id: TenantId, key_id: str) -> None:
        """Revoke a key."""
        if not await self.stores.users.revoke_api_key(tenant_id, key_id):
            raise not_there()
        self.noted([EndedRow(session_id=key_id, ended_at=self.clock())])


def check_scopes(maker: Principal, scopes: Iterable[Scope]) -> None:
    """Raise Denied for scopes that the maker has not, or an integrator cannot have."""
    beyond = sorted(set(scopes) - (maker.scopes & SCOPES[Role.INTEGRATOR]))
    if beyond:
        raise Denied(Code.FORBIDDEN, f"these scopes are not yours to give: {', '.join(beyond)}")
