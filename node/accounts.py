"""Accounts fitted to this node's stores, and the first tenant of a cluster that has none.

What the service raises when its stores are away is named here, since only here both are known.
"""

from collections.abc import Callable
from secrets import token_bytes

from dispatch.ids import Instant, TenantId, prefixed
from node.clock import steady_s, wall
from services.accounts.integrators import NewClient
from services.accounts.people import Enrolment, NewPerson
from services.accounts.ports import Stores
from services.accounts.principal import Role
from services.accounts.rules import SCOPES
from services.accounts.secret import a_secret
from services.accounts.service import AccountService
from services.accounts.terms import TERMS, AccountTerms
from storage.accounts import PostgresAccounts
from storage.attempts import RedisAttempts
from storage.database import Database, DatabaseUnreachable
from storage.memory_attempts import MemoryAttempts
from storage.redis import RedisServer, RedisUnreachable
from storage.sessions import PostgresSessions
from storage.signing_keys import PostgresSigningKeys
from wire.accounts import Discreet

ISSUER = "dispatch"
ENTROPY_BYTES = 10


class NewTenant(Discreet, frozen=True, kw_only=True):
    """A tenant that was just made: the client of its apps, and a key that may do everything."""

    tenant_id: TenantId
    client_id: str
    api_key: str


class NewAdmin(Discreet, frozen=True, kw_only=True):
    """An administrator who was just made, and what to sign in with; shown this once."""

    user_id: str
    email: str
    password: str
    second_factor: Enrolment


class AdminExists(Exception):
    """There is an account of that address already, or it is no address; the sentence says which."""


def account_service(
    database: Database,
    redis: RedisServer,
    *,
    cluster: str,
    secret: str,
    issuer: str = ISSUER,
    clock: Callable[[], Instant] = wall,
    entropy: Callable[[int], bytes] = token_bytes,
    terms: AccountTerms = TERMS,
) -> AccountService:
    """Return the accounts of a cluster; call `opening` before use, and let `run` run."""
    stores = Stores(
        users=PostgresAccounts(database),
        sessions=PostgresSessions(database),
        keys=PostgresSigningKeys(database),
        attempts=RedisAttempts(redis, cluster, MemoryAttempts(steady_s)),
        away=(DatabaseUnreachable, RedisUnreachable),
    )
    return AccountService(
        stores, secret=secret, issuer=issuer, clock=clock, entropy=entropy, terms=terms
    )


async def bootstrap(service: AccountService, name: str) -> NewTenant:
    """Make a tenant with a public client for its apps and a key for its operators."""
    tenant_id = TenantId(_an_id(service, "tnt"))
    await service.stores.users.create_tenant(tenant_id, name)
    apps = NewClient(name=f"{name} apps", is_public=True, redirect_uris=(), scopes=())
    client, _ = await service.integrators.create_client(tenant_id, apps, _an_id(service, "cli"))
    _, api_key = await service.integrators.create_api_key(
        tenant_id,
        key_id=_an_id(service, "key"),
        name="first key",
        scopes=SCOPES[Role.INTEGRATOR],
        is_live=False,
        created_by="",
    )
    return NewTenant(tenant_id=tenant_id, client_id=client.client_id, api_key=api_key)


async def add_admin(service: AccountService, tenant_id: TenantId, email: str) -> NewAdmin:
    """Make an administrator with a password and a second factor; raises AdminExists, Denied."""
    password = a_secret(service.entropy)[:24]
    person = NewPerson(role=Role.ADMIN, name=email, email=email, password=password)
    user = await service.people.create(tenant_id, person, user_id=_an_id(service, "usr"))
    if user is None:
        raise AdminExists(f"{email} has an account of that tenant already")
    factor = await service.people.reset_second_factor(user)
    return NewAdmin(user_id=user.user_id, email=user.email, password=password, second_factor=factor)


def _an_id(service: AccountService, prefix: str) -> str:
    return prefixed(prefix, wall(), service.entropy(ENTROPY_BYTES))
