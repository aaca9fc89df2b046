"""Passwords: kept as argon2id hashes, and never so many at once that a node stands still."""

import trio

from dispatch.step import Code
from services.accounts.denied import Denied
from services.accounts.passwords import Passwords
from services.accounts.terms import HashTerms

CHEAP = HashTerms(rounds=1, memory_kib=8)


async def test_a_password_is_right_however_its_characters_are_composed() -> None:
    passwords = Passwords(CHEAP)
    await passwords.opening()

    kept = await passwords.hashed("cre\u0300me brûlée")

    assert kept.startswith("$argon2id$")
    assert await passwords.is_right(kept, "cr\u00e8me brûlée")
    assert not await passwords.is_right(kept, "creme brulee")
    assert not await passwords.is_right("", "nobody's password")
    assert not await passwords.is_right("no hash", "anything")


async def test_a_hash_that_cost_less_than_now_is_stale() -> None:
    kept = await Passwords(CHEAP).hashed("violet-otter-42")

    assert not Passwords(CHEAP).is_stale(kept)
    assert Passwords(HashTerms(rounds=2, memory_kib=8)).is_stale(kept)


async def test_more_people_than_can_wait_are_told_to_come_again() -> None:
    passwords = Passwords(HashTerms(rounds=1, memory_kib=8, at_once_max=1, waiting_max=2))
    refused: list[Denied] = []

    async def sign_in() -> None:
        try:
            await passwords.hashed("violet-otter-42")
        except Denied as denied:
            refused.append(denied)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(sign_in)

    assert [one.code for one in refused] == [Code.OVERLOADED] * 5
    assert all(one.retry_s for one in refused)


async def test_a_hash_costs_what_an_attacker_should_pay() -> None:
    passwords = Passwords(HashTerms())

    kept = await passwords.hashed("violet-otter-42")

    assert "$m=19456,t=2,p=1$" in kept
