"""Presence: who has a session, for as long as somebody renews it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from msgspec import convert

from dispatch.lease import NodeId
from storage.bridge import bridged
from storage.presence import TTL_S, Arrived, Attendance, Change, Left, RedisPresence
from storage.redis import RedisServer, RedisUnreachable, redis_server
from tests.storage.valkey import until

HERE, THERE = NodeId("here"), NodeId("there")
PHONE, TABLET = Attendance("ann", HERE, "phone"), Attendance("ann", THERE, "tablet")


@asynccontextmanager
async def _presence(url: str) -> AsyncGenerator[tuple[RedisPresence, RedisServer]]:
    async with bridged() as bridge, redis_server(bridge, url) as server:
        yield RedisPresence(server, "tests"), server


async def test_a_person_is_present_at_the_nodes_of_his_sessions(redis_url: str) -> None:
    async with _presence(redis_url) as (presence, _):
        await presence.arrive(PHONE)
        await presence.arrive(TABLET)
        both = await presence.present(["ann", "bob"])
        await presence.leave(PHONE)
        one = await presence.present(["ann"])
        await presence.leave(TABLET)
        none = await presence.present(["ann"])

    assert both == {"ann": {HERE, THERE}}
    assert one == {"ann": {THERE}}
    assert none == {}


async def test_a_session_that_nobody_renews_runs_out_by_itself(redis_url: str) -> None:
    async with _presence(redis_url) as (presence, server):
        await presence.arrive(PHONE)
        await presence.arrive(TABLET)
        (ends,) = await server.exchange(
            [("httl", "tests:present:ann", "fields", 2, "phone", "tablet")]
        )
        await server.exchange([("hpexpire", "tests:present:ann", 1, "fields", 1, "phone")])
        found = await presence.present(["ann"])
        while len(found["ann"]) > 1:
            found = await presence.present(["ann"])

    assert ends == [TTL_S, TTL_S]
    assert found == {"ann": {THERE}}


async def test_a_renewal_brings_back_what_a_wiped_server_lost(redis_url: str) -> None:
    crowd = [Attendance(f"person {number}", HERE, "phone") for number in range(2_500)]

    async with _presence(redis_url) as (presence, server):
        await presence.arrive(PHONE)
        await server.exchange([("flushall",)])
        lost = await presence.present(["ann"])
        await presence.renew([PHONE, *crowd])
        found = await presence.present(["ann", *[one.person for one in crowd]])

    assert lost == {}
    assert len(found) == 2_501


async def test_changes_are_published_for_the_first_session_and_the_last(redis_url: str) -> None:
    changes: list[Change] = []

    async with _presence(redis_url) as (presence, server), trio.open_nursery() as nursery:
        nursery.start_soon(presence.subscribe, changes.append)
        await _subscribed(server)
        await server.exchange([("publish", "tests:presence", b"\xc1 no change")])
        for attendance in (PHONE, TABLET, PHONE):
            await presence.arrive(attendance)
        for attendance in (PHONE, TABLET, TABLET):
            await presence.leave(attendance)
        await presence.arrive(PHONE)
        await until(lambda: len(changes) == 3)
        nursery.cancel_scope.cancel()

    assert changes == [Arrived("ann"), Left("ann"), Arrived("ann")]


async def test_writing_presence_to_a_server_that_is_away_fails_nobody_and_asking_does() -> None:
    async with _presence("redis://127.0.0.1:1") as (presence, server):
        await presence.arrive(PHONE)
        await presence.renew([PHONE])
        await presence.leave(PHONE)
        with pytest.raises(RedisUnreachable):
            await presence.present(["ann"])
        failures = server.statistics().failures

    assert failures == 4


async def _subscribed(server: RedisServer) -> None:
    """Wait until somebody listens to the changes."""
    count = 0
    with trio.fail_after(5):
        while not count:
            (reply,) = await server.exchange([("pubsub", "numsub", "tests:presence")])
            _, count = convert(reply, tuple[bytes, int])
