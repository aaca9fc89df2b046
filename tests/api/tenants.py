"""An edge whose accounts are the real ones, with a tenant, its app and its key to everything.

Times move by `moment.later(seconds)`; passwords are hashed as cheaply as argon2id allows, since no
test is about its cost.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import structs
from werkzeug.datastructures import Headers

from api.accounts import accounts
from api.credentials import credentials
from api.sign_in import routes
from api.tokens import tokens
from dispatch.ids import Instant, after
from node.accounts import NewTenant, account_service, bootstrap
from node.clock import wall
from services.accounts.service import AccountService
from services.accounts.terms import TERMS, AccountTerms, HashTerms
from storage.bridge import bridged
from storage.database import connected
from storage.redis import redis_server
from tests.api.stage import CLUSTER, Stage, on_stage

CHEAP = structs.replace(TERMS, hashes=HashTerms(rounds=1, memory_kib=8), look_again_s=0.0)
SECRET = "a secret of the whole cluster"  # noqa: S105 - of no cluster that exists.
PASSWORD = "violet-otter-42"  # noqa: S105


class Moment:
    """A clock that is ahead by as much as the test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> Instant:
        return after(wall(), self.ahead_s)

    def later(self, seconds: float) -> None:
        self.ahead_s += seconds


@dataclass(slots=True, kw_only=True)
class Tenant:
    """What a test has in hand."""

    stage: Stage
    service: AccountService
    made: NewTenant
    moment: Moment

    @property
    def by_key(self) -> Mapping[str, str]:
        """Headers of the tenant's operators."""
        return bearer(self.made.api_key)

    async def registered(self, email: str = "ann@example.com", password: str = PASSWORD) -> str:
        """Have a customer register, and return the address."""
        body = {
            "client_id": self.made.client_id,
            "email": email,
            "password": password,
            "name": "Ann Otter",
        }
        status, _, _ = await self.stage.asked("POST", "/v1/accounts/customers", None, body)
        assert status == 202
        return email

    async def token(
        self, by: Mapping[str, str] | None = None, /, **body: str
    ) -> tuple[int, Any, Headers]:
        """Ask for a token."""
        return await self.stage.asked("POST", "/v1/oauth/token", by, body)

    async def signed_in(self, email: str, password: str = PASSWORD, **rest: str) -> dict[str, Any]:
        """Sign somebody in, and return the tokens."""
        status, told, _ = await self.by_password(email, password, **rest)
        assert status == 200, told
        return told

    async def by_password(
        self, email: str, password: str = PASSWORD, **rest: str
    ) -> tuple[int, Any, Headers]:
        """Try to sign somebody in."""
        client_id = rest.pop("client_id", self.made.client_id)
        told = {"client_id": client_id, "username": email, "password": password}
        return await self.token(None, grant_type="password", **told, **rest)

    async def refreshed(self, refresh_token: str, **rest: str) -> tuple[int, Any]:
        """Try to go on with a refresh token."""
        told = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        status, answer, _ = await self.token(None, **told, **rest)
        return status, answer

    async def me(self, access_token: str) -> int:
        """Return what comes of asking for one's own account."""
        told = await self.stage.asked("GET", "/v1/accounts/me", bearer(access_token))
        return told[0]


def bearer(token: str) -> Mapping[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def a_tenant(
    database_url: str, redis_url: str, terms: AccountTerms = CHEAP
) -> AsyncGenerator[Tenant]:
    """Run an edge with accounts, and a tenant in it."""
    moment = Moment()
    async with (
        bridged() as bridge,
        connected(bridge, database_url) as database,
        redis_server(bridge, redis_url) as redis,
    ):
        service = account_service(
            database, redis, cluster=CLUSTER, secret=SECRET, clock=moment, terms=terms
        )
        await service.opening()
        made = await bootstrap(service, "Otters")
        async with on_stage(
            database_url, redis_url, [tokens, accounts, credentials], accounts=service, clock=moment
        ) as stage:
            routes(stage.app, stage.edge)
            yield Tenant(stage=stage, service=service, made=made, moment=moment)
