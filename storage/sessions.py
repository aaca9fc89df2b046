"""Who is signed in where, in Postgres: sessions, their devices, and the codes that begin one.

A session has one refresh token that is good, and a secret that all its refresh tokens share. So a
token that was good before is told from one that somebody made up: the first ends its session, the
second ends nothing. Whatever ends sessions returns which, so that their access tokens can be
refused from that moment on.
"""

from collections.abc import Sequence

from asyncpg import Connection
from msgspec import convert

from dispatch.ids import DeviceId
from storage.database import Ask, Database
from storage.queries import queries
from wire.accounts import CodeRow, DeviceRow, EndedRow, SessionRow

SQL = queries("sessions")


class PostgresSessions:
    """The sessions of all people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(
        self,
        sessions: Sequence[tuple[SessionRow, str]],
        *,
        idle_s: float,
        devices_max: int,
    ) -> tuple[EndedRow, ...]:
        """Begin sessions on devices of these names, and return those that they replace.

        A device has one session. A person with more than `devices_max` devices loses the one that
        was not seen for longest.
        """

        async def write(there: Connection) -> list[EndedRow]:
            ended: list[EndedRow] = []
            async with there.transaction():
                for session, name in sessions:
                    ended += await _begun(there, session, name, idle_s, devices_max)
            return ended

        return tuple(await self._database.call(write))

    async def rotate(
        self,
        session_id: str,
        family: bytes,
        before: bytes,
        after: bytes,
        *,
        idle_s: float,
        s_max: float,
    ) -> SessionRow | tuple[EndedRow, ...]:
        """Have another refresh token be the good one, if that one is.

        Otherwise return the session that it ended: one, if the token was good once; else none.
        """

        async def write(there: Connection) -> SessionRow | tuple[EndedRow, ...]:
            told = (session_id, family, before, after, idle_s, s_max)
            row = await there.fetchrow(SQL["rotate"], *told)
            if row is None:
                return await _ended(there, "end_replayed", session_id, family, before)
            session = convert(dict(row), SessionRow)
            await there.execute(SQL["note_device_seen"], session.user_id, session.device_id)
            return session

        return await self._database.call(write)

    async def end(self, session_id: str, reason: str) -> tuple[EndedRow, ...]:
        """End a session."""
        return await self._ended("end_session", session_id, reason)

    async def end_of_token(self, session_id: str, family: bytes) -> tuple[EndedRow, ...]:
        """End the session that a refresh token belongs to."""
        return await self._ended("end_session_of_token", session_id, family)

    async def end_all(self, user_id: str, but: str, reason: str) -> tuple[EndedRow, ...]:
        """End all sessions of a person, except perhaps one."""
        return await self._ended("end_sessions", user_id, but, reason)

    async def fetch_ended(self, within_s: float, limit: int) -> tuple[EndedRow, ...]:
        """Return what ended in the last `within_s` seconds, the latest first."""
        return await self._ended("fetch_ended", within_s, limit)

    async def forget_old(self) -> None:
        """Delete some sessions that ended long ago, and codes that ran out."""

        async def write(there: Connection) -> None:
            await there.execute(SQL["forget_old_sessions"])
            await there.execute(SQL["forget_old_codes"])

        await self._database.call(write)

    async def has_device(self, user_id: str, device_id: str) -> bool:
        """Tell whether a person has signed in with that device before."""
        return await self._database.call(
            lambda there: there.fetchval(SQL["has_device"], user_id, device_id)
        )

    async def fetch_devices(self, user_id: str, limit: int) -> tuple[DeviceRow, ...]:
        """Return a person's devices, the one that was seen last first."""
        rows = await self._database.call(
            lambda there: there.fetch(SQL["fetch_devices"], user_id, limit)
        )
        return tuple([convert(dict(row), DeviceRow) for row in rows])

    async def name_device(self, user_id: str, device_id: DeviceId, name: str) -> bool:
        """Give a device another name; False when the person has none of that id."""
        done = await self._database.call(
            lambda there: there.execute(SQL["name_device"], user_id, device_id, name)
        )
        return not done.endswith(" 0")

    async def forget_device(self, user_id: str, device_id: DeviceId) -> tuple[EndedRow, ...] | None:
        """Forget a device and end its session; None when the person has none of that id."""

        async def write(there: Connection) -> tuple[EndedRow, ...] | None:
            async with there.transaction():
                ended = await _ended(there, "end_sessions_of_device", user_id, device_id)
                done = await there.execute(SQL["forget_device"], user_id, device_id)
            return None if done.endswith(" 0") else ended

        return await self._database.call(write)

    async def keep_code(self, code: CodeRow, ttl_s: float) -> None:
        """Keep an authorization code."""
        scopes = list(code.scopes)
        told = (
            code.digest,
            code.client_id,
            code.user_id,
            code.redirect_uri,
            code.challenge,
            scopes,
        )
        await self._database.call(lambda there: there.execute(SQL["keep_code"], *told, ttl_s))

    async def take_code(self, digest: bytes, session_id: str) -> CodeRow | tuple[EndedRow, ...]:
        """Take a code for a session to begin; one that comes again ends the session it began."""

        async def write(there: Connection) -> CodeRow | tuple[EndedRow, ...]:
            row = await there.fetchrow(SQL["take_code"], digest, session_id)
            if row is None:
                return await _ended(there, "end_session_of_code", digest)
            return convert(dict(row), CodeRow)

        return await self._database.call(write)

    async def _ended(self, name: str, *told: object) -> tuple[EndedRow, ...]:
        ask: Ask[tuple[EndedRow, ...]] = lambda there: _ended(there, name, *told)  # noqa: E731
        return await self._database.call(ask)


async def _ended(there: Connection, name: str, *told: object) -> tuple[EndedRow, ...]:
    rows = await there.fetch(SQL[name], *told)
    return tuple([convert(dict(row), EndedRow) for row in rows])


async def _begun(
    there: Connection, session: SessionRow, name: str, idle_s: float, devices_max: int
) -> tuple[EndedRow, ...]:
    user_id, device_id = session.user_id, session.device_id
    replaced = await _ended(there, "end_session_of_device", user_id, device_id)
    await there.execute(SQL["see_device"], user_id, device_id, name)
    surplus = await _ended(there, "end_sessions_of_surplus_devices", user_id, devices_max)
    await there.execute(SQL["forget_surplus_devices"], user_id, devices_max)
    await there.execute(
        SQL["create_session"],
        session.session_id,
        session.tenant_id,
        user_id,
        device_id,
        session.client_id,
        list(session.scopes),
        session.family_digest,
        session.refresh_digest,
        idle_s,
    )
    return replaced + surplus
