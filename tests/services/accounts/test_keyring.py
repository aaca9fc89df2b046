"""Signing keys come and go without a token being refused that should hold, or held that should not.

Two rings stand for two nodes; the store that they share ages as the test says.
"""

from secrets import token_bytes

from msgspec import structs

from dispatch.ids import Instant, TenantId
from services.accounts.claims import AUDIENCE, Claims
from services.accounts.keyring import KeyRing, kid_of
from services.accounts.principal import Role
from services.accounts.rules import KeyTerms
from services.accounts.vault import Vault
from wire.accounts import SigningKeyRow

TERMS = KeyTerms(active_s=1_000, next_s=100, retiring_s=50)
NOW = Instant(1_800_000_000_000)
CLAIMS = Claims(
    iss="dispatch",
    aud=AUDIENCE,
    sub="usr_1",
    exp=NOW // 1_000 + 900,
    iat=NOW // 1_000,
    jti="tok_1",
    sid="ses_1",
    tenant_id=TenantId("tnt_1"),
    role=Role.CUSTOMER,
    scope="orders:read",
)


class AgeingKeys:
    """Signing keys in memory, with the rules of the table: one active, one next."""

    def __init__(self) -> None:
        self.rows: dict[str, SigningKeyRow] = {}
        self.fetches = 0

    async def fetch(self) -> tuple[SigningKeyRow, ...]:
        self.fetches += 1
        return tuple(self.rows.values())

    async def create(self, key: SigningKeyRow) -> None:
        if key.state not in {row.state for row in self.rows.values()}:
            self.rows[key.kid] = key

    async def promote(self, active: str | None, following: str | None) -> None:
        self._move(active, "retiring", sealed=b"")
        self._move(following, "active")

    async def drop(self, kid: str) -> None:
        del self.rows[kid]

    def age(self, seconds: float) -> None:
        self.rows = {
            kid: structs.replace(row, age_s=row.age_s + seconds) for kid, row in self.rows.items()
        }

    def states(self) -> list[str]:
        return sorted(row.state for row in self.rows.values())

    def _move(self, kid: str | None, state: str, **rest: bytes) -> None:
        if kid is not None:
            self.rows[kid] = structs.replace(self.rows[kid], state=state, age_s=0.0, **rest)


def a_ring(keys: AgeingKeys, secret: str = "a secret of the cluster") -> KeyRing:  # noqa: S107
    return KeyRing(
        keys,
        Vault(secret, token_bytes),
        issuer="dispatch",
        clock=lambda: NOW,
        entropy=token_bytes,
        terms=TERMS,
        look_again_s=1.0,
    )


async def test_tokens_hold_while_keys_change_and_not_after_a_key_is_gone() -> None:
    keys = AgeingKeys()
    here, there = a_ring(keys), a_ring(keys)
    await here.reload()
    await there.reload()
    old = here.sign(CLAIMS)

    keys.age(950)
    await here.reload()
    published = {key.kid for key in here.published().keys}
    await there.reload()
    keys.age(101)
    await here.reload()
    new = here.sign(CLAIMS)
    await there.reload()
    during = [there.find_claims(old), there.find_claims(new)]
    keys.age(51)
    await there.reload()
    after_it = [there.find_claims(old), there.find_claims(new)]

    assert kid_of(new) in published, "a key signs only when it was published before"
    assert kid_of(new) != kid_of(old)
    assert during == [CLAIMS, CLAIMS]
    assert after_it == [None, CLAIMS]


async def test_a_key_that_is_only_published_signs_nothing_that_is_believed() -> None:
    keys = AgeingKeys()
    ring = a_ring(keys)
    await ring.reload()
    keys.age(950)
    await ring.reload()

    assert keys.states() == ["active", "next"]
    assert len(ring.published().keys) == 2
    assert len(ring.kids) == 1


async def test_the_private_part_of_a_key_is_wiped_when_it_stops_signing() -> None:
    keys = AgeingKeys()
    ring = a_ring(keys)
    await ring.reload()
    await ring.rotate()
    keys.age(101)

    await ring.rotate()

    assert {row.state: bool(row.sealed) for row in keys.rows.values()} == {
        "retiring": False,
        "active": True,
    }


async def test_a_node_with_another_secret_signs_with_a_key_of_its_own() -> None:
    keys = AgeingKeys()
    before, now = a_ring(keys), a_ring(keys, "a secret of another time")
    await before.reload()
    old = before.sign(CLAIMS)

    await now.reload()
    new = now.sign(CLAIMS)

    assert keys.states() == ["active", "retiring"]
    assert now.find_claims(old) == now.find_claims(new) == CLAIMS


async def test_a_strange_key_is_looked_for_once_in_a_while(autojump_clock: object) -> None:
    del autojump_clock
    keys = AgeingKeys()
    ring = a_ring(keys)
    await ring.reload()
    before = keys.fetches

    for number in range(50):
        await ring.look_for(f"sgn_{number}")

    assert keys.fetches == before + 1
