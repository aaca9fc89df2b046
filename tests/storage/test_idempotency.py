"""A request with a key is served once, whoever sends it how often, and answered alike."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from storage.bridge import bridged
from storage.database import connected
from storage.idempotency import Answered, Claimed, Idempotency, Pending, Reused

KEY = ("cus_1 place", "key-1", b"digest")
OTHER = ("cus_1 place", "key-1", b"other digest")
ANSWER = Answered(201, b'{"order_id": "ord_1"}', {"Location": "/v1/orders/ord_1", "ETag": '"one"'})


@asynccontextmanager
async def keys(url: str, *, kept_s: float = 60, claim_s: float = 60) -> AsyncGenerator[Idempotency]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield Idempotency(database, kept_s=kept_s, claim_s=claim_s)


async def test_a_request_that_comes_again_gets_the_first_answer(database: str) -> None:
    async with keys(database) as idempotency:
        first = await idempotency.claim(*KEY)
        meanwhile = await idempotency.claim(*KEY)
        is_kept = await idempotency.finish(*KEY, ANSWER)
        again = await idempotency.claim(*KEY)

    assert isinstance(first, Claimed)
    assert meanwhile == Pending()
    assert is_kept
    assert again == ANSWER


async def test_a_key_is_of_no_use_to_another_request(database: str) -> None:
    async with keys(database) as idempotency:
        await idempotency.claim(*KEY)
        while_open = await idempotency.claim(*OTHER)
        await idempotency.finish(*KEY, ANSWER)
        afterwards = await idempotency.claim(*OTHER)
        elsewhere = await idempotency.claim("cus_2 place", *OTHER[1:])

    assert [while_open, afterwards] == [Reused(), Reused()]
    assert isinstance(elsewhere, Claimed)


async def test_an_answer_is_not_replaced_by_a_later_one(database: str) -> None:
    async with keys(database) as idempotency:
        await idempotency.claim(*KEY)
        await idempotency.finish(*KEY, ANSWER)
        is_kept = await idempotency.finish(*KEY, Answered(500, b"late"))
        await idempotency.release(*KEY)
        again = await idempotency.claim(*KEY)

    assert not is_kept
    assert again == ANSWER


async def test_an_answer_without_headers_of_its_own_has_none(database: str) -> None:
    async with keys(database) as idempotency:
        await idempotency.claim(*KEY)
        await idempotency.finish(*KEY, Answered(204, b""))
        again = await idempotency.claim(*KEY)

    assert again == Answered(204, b"", {})


async def test_a_claim_given_up_is_free_at_once(database: str) -> None:
    async with keys(database) as idempotency:
        await idempotency.claim(*KEY)
        await idempotency.release(*KEY)
        again = await idempotency.claim(*KEY)

    assert isinstance(again, Claimed)


async def test_a_request_given_way_to_is_still_the_one_that_came_first(database: str) -> None:
    async with keys(database) as idempotency:
        first = await idempotency.claim(*KEY)
        await idempotency.give_way(*KEY)
        again = await idempotency.claim(*KEY)

    assert isinstance(first, Claimed)
    assert again == Claimed(first.began_at, is_first=False)


async def test_a_claim_whose_server_died_is_taken_over_by_the_same_request_only(
    database: str,
) -> None:
    async with keys(database, claim_s=0) as idempotency:
        first = await idempotency.claim(*KEY)
        another = await idempotency.claim(*OTHER)
        again = await idempotency.claim(*KEY)

    assert another == Reused()
    assert isinstance(first, Claimed)
    assert again == Claimed(first.began_at, is_first=False)


async def test_a_key_is_forgotten_when_its_day_is_over(database: str) -> None:
    async with keys(database, kept_s=0) as idempotency:
        await idempotency.claim(*KEY)
        await idempotency.finish(*KEY, ANSWER)
        replaced = await idempotency.claim(*OTHER)
        forgotten = [await idempotency.forget_old() for _ in range(2)]

    assert isinstance(replaced, Claimed)
    assert forgotten == [1, 0]
