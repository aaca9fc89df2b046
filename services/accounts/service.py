"""Accounts as one thing: what a node runs, and asks who stands behind a token or a key.

A token is verified without any store, once, and then remembered until it runs out; so is an API key
for a few seconds. What ended meanwhile is refused all the same: sessions that end on this node at
once, those that end on others within `poll_s`. `run` keeps the signing keys and the ended sessions
as the cluster has them, and goes on with what it knows while the store is away.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import trio
from msgspec import Struct

from dispatch.ids import Instant, after, elapsed_s
from services.accounts.claims import principal_of
from services.accounts.ended import Ended
from services.accounts.integrators import Integrators
from services.accounts.keyring import KeyRing, kid_of
from services.accounts.passwords import Passwords
from services.accounts.people import People
from services.accounts.ports import Stores
from services.accounts.principal import Principal, Role, Scope
from services.accounts.secret import digest_of, is_api_key
from services.accounts.sign_in import SignIn
from services.accounts.terms import TERMS, AccountTerms
from services.accounts.vault import Vault
from wire.accounts import ApiKeyRow, EndedRow

OVERLAP_S = 10.0
"""How far a look at the ended sessions reaches back behind the one before."""
FORGET_S = 3_600.0


class AccountStatistics(Struct, frozen=True, kw_only=True):
    """What is remembered, and how often the store was away."""

    believed: int
    ended: int
    misses: int


class AccountService:
    """The accounts of all tenants, on one node."""

    def __init__(
        self,
        stores: Stores,
        *,
        secret: str,
        issuer: str,
        clock: Callable[[], Instant],
        entropy: Callable[[int], bytes],
        terms: AccountTerms = TERMS,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._terms = terms
        self._ended = Ended(float(terms.token_s), terms.ended_max)
        self._believed: OrderedDict[bytes, Believed] = OrderedDict()
        self._misses = 0
        self._looked_at: Instant | None = None
        vault = Vault(secret, entropy)
        self._passwords = Passwords(terms.hashes)
        self.ring = KeyRing(
            stores.keys,
            vault,
            issuer=issuer,
            clock=clock,
            entropy=entropy,
            terms=terms.keys,
            look_again_s=terms.look_again_s,
        )
        self.sign_in = SignIn(
            stores=stores,
            ring=self.ring,
            vault=vault,
            passwords=self._passwords,
            terms=terms,
            clock=clock,
            entropy=entropy,
            noted=self._note,
        )
        self.people = People(
            stores=stores,
            vault=vault,
            passwords=self._passwords,
            sign_in=self.sign_in,
            clock=clock,
            entropy=entropy,
        )
        self.integrators = Integrators(
            stores=stores, clock=clock, entropy=entropy, noted=self._note
        )
        self.stores = stores
        self.entropy = entropy
        self.vault = vault

    async def opening(self) -> None:
        """Get ready to serve: have keys, know what ended."""
        await self._passwords.opening()
        await self.ring.reload()
        await self.look()

    async def run(self) -> None:
        """Keep what this node knows like what the cluster knows, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._repeat, self.reload, self._terms.reload_s)
            nursery.start_soon(self._repeat, self.look, self._terms.poll_s)
            nursery.start_soon(self._repeat, self._stores.sessions.forget_old, FORGET_S)

    async def reload(self) -> None:
        """Read the signing keys, rotate them if that is due, and forget what is not good now."""
        before = self.ring.kids
        await self.ring.reload()
        if before - self.ring.kids:
            self._believed.clear()

    async def find_principal(self, bearer: str) -> Principal | None:
        """Return whose token or API key it is; None for one that is wrong, ended or expired."""
        digest = digest_of(bearer)
        found = self._believed.get(digest)
        if found is None or found.until <= self._clock():
            found = await self._looked_up(bearer, digest)
            if found is None:
                return None
            self._remember(digest, found)
        return None if found.principal.session_id in self._ended else found.principal

    def is_ended(self, session_id: str) -> bool:
        """Tell whether a session ended lately: what is open in its name is to be closed."""
        return session_id in self._ended

    def statistics(self) -> AccountStatistics:
        """Return how much is remembered."""
        return AccountStatistics(
            believed=len(self._believed), ended=len(self._ended), misses=self._misses
        )

    async def _looked_up(self, bearer: str, digest: bytes) -> "Believed | None":
        if is_api_key(bearer):
            key = await self._stores.users.find_api_key(digest)
            until = after(self._clock(), self._terms.believed_s)
            return None if key is None else Believed(_integrator(key), until)
        kid = kid_of(bearer)
        if kid is None:
            return None
        if kid not in self.ring.kids:
            await self.ring.look_for(kid)
        claims = self.ring.find_claims(bearer)
        if claims is None:
            return None
        return Believed(principal_of(claims), Instant(claims.exp * 1000))

    def _remember(self, digest: bytes, found: "Believed") -> None:
        self._believed[digest] = found
        self._believed.move_to_end(digest)
        while len(self._believed) > self._terms.believed_max:
            self._believed.popitem(last=False)

    def _note(self, rows: Iterable[EndedRow]) -> None:
        self._ended.note(rows, self._clock())

    async def look(self) -> None:
        """Learn what ended since the last look, on whichever node."""
        now, within_s = self._clock(), float(self._terms.token_s)
        if self._looked_at is not None:
            within_s = min(within_s, elapsed_s(self._looked_at, now) + OVERLAP_S)
        self._note(await self._stores.sessions.fetch_ended(within_s, self._terms.ended_max))
        self._looked_at = now

    async def _repeat(self, act: Callable[[], Awaitable[None]], period_s: float) -> None:
        while True:
            await trio.sleep(period_s)
            try:
                await act()
            except self._stores.away:
                self._misses += 1


class Believed(Struct, frozen=True):
    """A principal, and the instant until which nobody needs to look again."""

    principal: Principal
    until: Instant


def _integrator(key: ApiKeyRow) -> Principal:
    known = {str(scope) for scope in Scope}
    return Principal(
        subject=key.key_id,
        role=Role.INTEGRATOR,
        tenant_id=key.tenant_id,
        scopes=frozenset(Scope(scope) for scope in key.scopes if scope in known),
        session_id=key.key_id,
    )
