"""Sessions in Postgres: one for a device, one good refresh token, and an end that is an end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from dispatch.ids import DeviceId, TenantId
from storage.accounts import PostgresAccounts
from storage.bridge import bridged
from storage.database import connected
from storage.sessions import PostgresSessions
from wire.accounts import ClientRow, CodeRow, EndedRow, SessionRow, UserRow

type Rotated = SessionRow | CodeRow | tuple[EndedRow, ...]

TENANT = TenantId("tnt_1")
IDLE_S = 60.0
FAMILY, FIRST, SECOND = b"family", b"first", b"second"


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[tuple[PostgresSessions, PostgresAccounts]]:
    """Sessions, and the accounts of two people."""
    async with bridged() as bridge, connected(bridge, url) as database:
        accounts = PostgresAccounts(database)
        await accounts.create_tenant(TENANT, "Otters")
        await accounts.create_users([a_user("usr_1"), a_user("usr_2")])
        yield PostgresSessions(database), accounts


def a_user(user_id: str) -> UserRow:
    email = f"{user_id}@example.com"
    return UserRow(user_id=user_id, tenant_id=TENANT, role="customer", email=email, name="Ann")


def a_session(session_id: str, user_id: str = "usr_1", device: str = "dev_1") -> SessionRow:
    return SessionRow(
        session_id=session_id,
        tenant_id=TENANT,
        user_id=user_id,
        device_id=DeviceId(device),
        client_id="",
        scopes=("orders:read",),
        family_digest=FAMILY,
        refresh_digest=FIRST,
    )


async def begun(
    sessions: PostgresSessions, *rows: SessionRow, idle_s: float = IDLE_S, devices_max: int = 9
) -> list[str]:
    """Begin sessions and return the ids of those that ended thereby."""
    told = [(row, "a phone") for row in rows]
    return ids(await sessions.open(told, idle_s=idle_s, devices_max=devices_max))


def ids(ended: Rotated) -> list[str]:
    """The sessions that ended instead."""
    assert isinstance(ended, tuple)
    return [row.session_id for row in ended]


async def rotated(
    sessions: PostgresSessions, before: bytes, after: bytes, family: bytes = FAMILY
) -> SessionRow | tuple[EndedRow, ...]:
    return await sessions.rotate("ses_1", family, before, after, idle_s=IDLE_S, s_max=IDLE_S)


async def test_a_device_has_one_session(database: str) -> None:
    async with opened(database) as (sessions, _):
        first = await begun(sessions, a_session("ses_1"))
        second = await begun(sessions, a_session("ses_2"), a_session("ses_3", device="dev_2"))
        devices = await sessions.fetch_devices("usr_1", 9)

    assert (first, second) == ([], ["ses_1"])
    assert {device.device_id: device.is_signed_in for device in devices} == {
        "dev_1": True,
        "dev_2": True,
    }


async def test_past_the_limit_the_device_not_seen_for_longest_is_forgotten(database: str) -> None:
    async with opened(database) as (sessions, _):
        rows = [a_session(f"ses_{number}", device=f"dev_{number}") for number in range(4)]
        ended = [await begun(sessions, row, devices_max=3) for row in rows]
        devices = await sessions.fetch_devices("usr_1", 9)

    assert ended == [[], [], [], ["ses_0"]]
    assert [device.device_id for device in devices] == ["dev_3", "dev_2", "dev_1"]


async def test_of_two_that_use_a_refresh_token_at_once_one_ends_the_session(database: str) -> None:
    async with opened(database) as (sessions, _):
        await begun(sessions, a_session("ses_1"))
        answers: list[Rotated] = []

        async def refresh(after: bytes) -> None:
            answers.append(await rotated(sessions, FIRST, after))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refresh, SECOND)
            nursery.start_soon(refresh, b"third")
        afterwards = await rotated(sessions, SECOND, b"fourth")

    assert sum(isinstance(answer, SessionRow) for answer in answers) == 1
    assert [ids(answer) for answer in answers if isinstance(answer, tuple)] == [["ses_1"]]
    assert ids(afterwards) == []


async def test_a_strange_family_ends_nothing(database: str) -> None:
    async with opened(database) as (sessions, _):
        await begun(sessions, a_session("ses_1"))
        strange = await rotated(sessions, FIRST, SECOND, b"made up")
        good = await rotated(sessions, FIRST, SECOND)

    assert strange == ()
    assert isinstance(good, SessionRow)


async def test_a_session_that_nobody_used_for_long_goes_no_further(database: str) -> None:
    async with opened(database) as (sessions, _):
        await begun(sessions, a_session("ses_1"), idle_s=0.0)
        late = await rotated(sessions, FIRST, SECOND)

    assert late == ()


async def test_what_ended_is_told_to_whoever_looks(database: str) -> None:
    async with opened(database) as (sessions, accounts):
        await begun(sessions, a_session("ses_1"), a_session("ses_2", device="dev_2"))
        await begun(sessions, a_session("ses_3", user_id="usr_2"))
        all_but_one = ids(await sessions.end_all("usr_1", "ses_2", "password changed"))
        forgotten = await sessions.forget_device("usr_1", DeviceId("dev_2"))
        strange = await sessions.forget_device("usr_2", DeviceId("dev_2"))
        ended = ids(await sessions.fetch_ended(60.0, 100))
        few = ids(await sessions.fetch_ended(60.0, 1))
        await accounts.create_client(ClientRow(client_id="cli_1", tenant_id=TENANT, name="App"))
        await accounts.revoke_client(TENANT, "cli_1")
        with_client = ids(await sessions.fetch_ended(60.0, 100))

    assert all_but_one == ["ses_1"]
    assert forgotten is not None
    assert ids(forgotten) == ["ses_2"]
    assert strange is None
    assert set(ended) == {"ses_1", "ses_2"}
    assert few == ["ses_2"]
    assert with_client[0] == "cli_1"


async def test_a_code_begins_one_session_and_ends_it_when_it_comes_again(database: str) -> None:
    async with opened(database) as (sessions, accounts):
        await accounts.create_client(ClientRow(client_id="cli_1", tenant_id=TENANT, name="App"))
        code = CodeRow(
            digest=b"code",
            client_id="cli_1",
            user_id="usr_1",
            redirect_uri="https://example.com",
            challenge="challenge",
            scopes=("orders:read",),
        )
        await sessions.keep_code(code, 60.0)
        taken = await sessions.take_code(b"code", "ses_1")
        await begun(sessions, a_session("ses_1"))
        again = await sessions.take_code(b"code", "ses_2")
        other = await sessions.take_code(b"other", "ses_2")

    assert taken == code
    assert (ids(again), ids(other)) == (["ses_1"], [])


async def test_names_of_other_peoples_things_find_nothing(database: str) -> None:
    async with opened(database) as (sessions, accounts):
        other = TenantId("tnt_2")
        await begun(sessions, a_session("ses_1"))
        found = await accounts.find_user(other, "usr_1")
        page = await accounts.fetch_users(other, "", 9, None)
        named = await sessions.name_device("usr_2", DeviceId("dev_1"), "mine")
        known = [await sessions.has_device(user, "dev_1") for user in ("usr_1", "usr_2", "")]

    assert (found, page, named) == (None, (), False)
    assert known == [True, False, False]
