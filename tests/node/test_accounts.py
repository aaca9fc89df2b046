"""The accounts of a node: in step with those of other nodes, and of use while stores are away."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_bytes

import trio
from msgspec import structs

from node.accounts import NewTenant, account_service, add_admin, bootstrap
from node.clock import steady_s, wall
from services.accounts.people import NewPerson
from services.accounts.ports import Stores
from services.accounts.principal import Role, Scope
from services.accounts.rules import KeyTerms
from services.accounts.service import AccountService
from services.accounts.sign_in import Tokens
from storage.accounts import PostgresAccounts
from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable, connected
from storage.memory_attempts import MemoryAttempts
from storage.redis import redis_server
from storage.sessions import PostgresSessions
from storage.signing_keys import PostgresSigningKeys
from tests.api.tenants import CHEAP, SECRET
from wire.accounts import EndedRow, SigningKeyRow

QUICK = structs.replace(CHEAP, poll_s=0.001, reload_s=0.001, believed_max=2)
WAIT_S = 5.0


class MoodySessions(PostgresSessions):
    """Sessions that cannot be looked at while the test says so."""

    is_away = False

    async def fetch_ended(self, within_s: float, limit: int) -> tuple[EndedRow, ...]:
        if self.is_away:
            raise DatabaseUnreachable("it is away")
        return await super().fetch_ended(within_s, limit)


class MoodyKeys(PostgresSigningKeys):
    """Keys that cannot be read while the test says so."""

    is_away = False

    async def fetch(self) -> tuple[SigningKeyRow, ...]:
        if self.is_away:
            raise DatabaseUnreachable("it is away")
        return await super().fetch()


@dataclass(slots=True, kw_only=True)
class Node:
    """A node's accounts, and the stores that can be away."""

    service: AccountService
    sessions: MoodySessions
    keys: MoodyKeys

    def be_away(self, is_away: bool) -> None:  # noqa: FBT001
        self.sessions.is_away = self.keys.is_away = is_away


async def a_node(database: Database) -> Node:
    """Accounts as a node has them."""
    sessions, keys = MoodySessions(database), MoodyKeys(database)
    stores = Stores(
        users=PostgresAccounts(database),
        sessions=sessions,
        keys=keys,
        attempts=MemoryAttempts(steady_s),
        away=(DatabaseUnreachable,),
    )
    service = AccountService(
        stores, secret=SECRET, issuer="dispatch", clock=wall, entropy=token_bytes, terms=QUICK
    )
    await service.opening()
    return Node(service=service, sessions=sessions, keys=keys)


@asynccontextmanager
async def two_nodes(url: str) -> AsyncGenerator[tuple[Node, Node, NewTenant]]:
    """Two nodes on one database; the second keeps itself in step."""
    async with (
        bridged() as bridge,
        connected(bridge, url) as database,
        trio.open_nursery() as nursery,
    ):
        here, there = await a_node(database), await a_node(database)
        made = await bootstrap(here.service, "Otters")
        nursery.start_soon(there.service.run)
        yield here, there, made
        nursery.cancel_scope.cancel()


async def somebody(node: Node, made: NewTenant, number: int = 1) -> Tokens:
    """Make a customer and sign him in."""
    person, user_id = NewPerson(role=Role.CUSTOMER, name="Ann"), f"usr_{number}"
    await node.service.people.create(made.tenant_id, person, user_id=user_id)
    return await node.service.sign_in.token_for(made.tenant_id, user_id)


async def until(holds: Callable[[], bool]) -> None:
    """Let others work until it holds."""
    with trio.fail_after(WAIT_S):
        while not holds():
            await trio.lowlevel.checkpoint()


async def test_a_token_is_believed_while_the_stores_are_away(database: str) -> None:
    async with two_nodes(database) as (here, there, made):
        tokens = await somebody(here, made)
        there.be_away(True)
        who = await there.service.find_principal(tokens.access_token)
        misses = there.service.statistics().misses
        await until(lambda: there.service.statistics().misses > misses + 2)
        still = await there.service.find_principal(tokens.access_token)

    assert who is not None
    assert who == still


async def test_what_ended_while_a_store_was_away_is_learnt_when_it_is_back(database: str) -> None:
    async with two_nodes(database) as (here, there, made):
        tokens = await somebody(here, made)
        who = await there.service.find_principal(tokens.access_token)
        assert who is not None
        there.be_away(True)
        await here.service.sign_in.end_all(who.subject)
        meanwhile = there.service.is_ended(who.session_id)
        there.be_away(False)
        await until(lambda: there.service.is_ended(who.session_id))
        afterwards = await there.service.find_principal(tokens.access_token)

    assert not meanwhile
    assert afterwards is None


async def test_a_key_made_on_one_node_is_believed_by_another_that_never_saw_it(
    database: str,
) -> None:
    async with two_nodes(database) as (here, there, made):
        there.be_away(True)
        await here.service.stores.keys.promote(here.service.ring.states()[0][0], None)
        await here.service.reload()
        tokens = await somebody(here, made)
        there.keys.is_away = False
        who = await there.service.find_principal(tokens.access_token)

    assert who is not None


async def test_a_token_is_refused_once_its_key_is_gone(database: str) -> None:
    async with two_nodes(database) as (here, _, made):
        tokens = await somebody(here, made)
        kid = here.service.ring.states()[0][0]
        before = await here.service.find_principal(tokens.access_token)
        keys = here.service.stores.keys
        await keys.promote(kid, None)
        await keys.drop(kid)
        await here.service.reload()
        afterwards = await here.service.find_principal(tokens.access_token)

    assert before is not None
    assert afterwards is None, "also one that was remembered as good"


async def test_tokens_that_are_remembered_have_a_limit(database: str) -> None:
    async with two_nodes(database) as (here, _, made):
        tokens = [await somebody(here, made, number) for number in range(4)]
        for one in tokens:
            await here.service.find_principal(one.access_token)
        remembered = here.service.statistics().believed

    assert remembered == QUICK.believed_max


async def test_the_first_tenant_has_an_app_a_key_and_an_administrator(
    database: str, redis_url: str
) -> None:
    async with (
        bridged() as bridge,
        connected(bridge, database) as there,
        redis_server(bridge, redis_url) as redis,
    ):
        service = account_service(there, redis, cluster="test", secret=SECRET, terms=CHEAP)
        await service.opening()
        made = await bootstrap(service, "Otters")
        admin = await add_admin(service, made.tenant_id, "root@example.com")
        by_key = await service.find_principal(made.api_key)
        user = await service.people.load(made.tenant_id, admin.user_id)

    assert by_key is not None
    assert Scope.TENANT_ADMIN in by_key.scopes
    assert (user.role, user.totp_confirmed) == (Role.ADMIN, True)
    assert KeyTerms().retiring_s > CHEAP.token_s, "a key outlives the tokens it signed"
