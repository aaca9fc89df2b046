"""Whoever asks at the same time as others, one key is active and one is next at most."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from storage.bridge import bridged
from storage.database import connected
from storage.signing_keys import PostgresSigningKeys
from wire.accounts import SigningKeyRow


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[PostgresSigningKeys]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield PostgresSigningKeys(database)


def a_key(kid: str, state: str) -> SigningKeyRow:
    return SigningKeyRow(kid=kid, state=state, public_key=b"public", sealed=b"sealed")


async def states(keys: PostgresSigningKeys) -> dict[str, str]:
    return {row.kid: row.state for row in await keys.fetch()}


async def test_nodes_that_start_together_sign_with_one_key(database: str) -> None:
    async with opened(database) as keys:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(keys.create, a_key(f"sgn_{number}", "active"))
        found = await keys.fetch()

    assert [row.state for row in found] == ["active"]
    assert 0 <= found[0].age_s < 60


async def test_nodes_that_promote_together_promote_once(database: str) -> None:
    async with opened(database) as keys:
        await keys.create(a_key("a", "active"))
        await keys.create(a_key("b", "next"))
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(keys.promote, "a", "b")
        await keys.create(a_key("c", "next"))
        await keys.promote("a", "c")
        found = await keys.fetch()

    assert {row.kid: row.state for row in found} == {"a": "retiring", "b": "active", "c": "next"}
    assert {row.kid for row in found if not row.sealed} == {"a"}


async def test_a_key_that_signs_is_not_dropped(database: str) -> None:
    async with opened(database) as keys:
        await keys.create(a_key("a", "active"))
        await keys.create(a_key("b", "next"))
        await keys.drop("a")
        before = await states(keys)
        await keys.promote("a", "b")
        await keys.drop("a")
        afterwards = await states(keys)

    assert before == {"a": "active", "b": "next"}
    assert afterwards == {"b": "active"}
