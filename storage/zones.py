"""The zones as tenants draw them, with who made them what they are, version by version.

A zone is written over the version that its writer saw, and each write is noted in the same
statement. What has ended stays, so that old orders can be understood; it is in no list.
"""

from collections.abc import Mapping, Sequence

import msgspec
from asyncpg import Record
from msgspec import Struct

from dispatch.ids import Instant, ZoneId
from dispatch.zone import Zone, ZoneKind
from geo.zone import Outline
from storage.database import Database
from storage.queries import queries

SQL = queries("zones")
ZONES_MAX = 64
"""Zones that a tenant may have in one market at a time."""
ALL_ZONES_MAX = 4_096
"""Zones that a node goes by, of all tenants."""

_encode = msgspec.json.Encoder().encode
_areas = msgspec.json.Decoder(Outline).decode
_noted = msgspec.json.Decoder(Zone).decode


class ZoneChange(Struct, frozen=True, kw_only=True):
    """One version of a zone: what it was from then on, and who made it so."""

    version: int
    made_by: str
    at: Instant
    zone: Zone


async def create(database: Database, zone: Zone, made_by: str) -> bool:
    """Write a new zone; one of that id that is there already stays. False if there are too many."""
    return await database.call(
        lambda there: there.fetchval(
            SQL["create"],
            zone.zone_id,
            zone.tenant_id,
            zone.market_id,
            zone.kind,
            zone.name,
            _encode(zone.outline).decode(),
            zone.reason,
            zone.until,
            zone.change_id,
            made_by,
            _encode(zone).decode(),
            ZONES_MAX,
        )
    )


async def save(database: Database, zone: Zone, made_by: str) -> bool:
    """Write the zone over the version that it names; False if another was faster."""
    changed = await database.call(
        lambda there: there.fetchval(
            SQL["save"],
            zone.zone_id,
            zone.version,
            zone.name,
            _encode(zone.outline).decode(),
            zone.reason,
            zone.until,
            zone.change_id,
            made_by,
            _encode(zone).decode(),
        )
    )
    return changed == 1


async def end(database: Database, zone: Zone, made_by: str) -> bool:
    """End the zone at the version that it names; False if another was faster."""
    ended = await database.call(
        lambda there: there.fetchval(
            SQL["end"],
            zone.zone_id,
            zone.version,
            zone.change_id,
            made_by,
            _encode(zone).decode(),
        )
    )
    return ended == 1


async def find(database: Database, zone_id: str) -> Zone | None:
    """Return the zone of that id, also one that has ended."""
    row = await database.call(lambda there: there.fetchrow(SQL["find"], zone_id))
    return None if row is None else _zone(row)


async def fetch_versions(database: Database) -> Mapping[ZoneId, int]:
    """Return at which version each zone is, of all tenants; the oldest, where there are too many.

    Kinds of a later version are left out, since nobody here knows what they mean, and so is what
    lapsed over an hour ago.
    """
    kinds = [str(kind) for kind in ZoneKind]
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_versions"], kinds, ALL_ZONES_MAX)
    )
    return {ZoneId(zone_id): version for zone_id, version in rows}


async def fetch_some(database: Database, zone_ids: Sequence[ZoneId]) -> Sequence[Zone]:
    """Return those of these zones that there still are."""
    rows = await database.call(lambda there: there.fetch(SQL["fetch_some"], list(zone_ids)))
    return [_zone(row) for row in rows]


async def fetch_changes(
    database: Database, zone_id: ZoneId, before: int, limit: int
) -> Sequence[ZoneChange]:
    """Return the versions of a zone below that one, the latest first."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_changes"], zone_id, before, limit)
    )
    return [
        ZoneChange(version=version, made_by=made_by, at=at, zone=_noted(zone))
        for version, made_by, at, zone in rows
    ]


def _zone(row: Record) -> Zone:
    return Zone(
        zone_id=row["zone_id"],
        tenant_id=row["tenant_id"],
        market_id=row["market_id"],
        kind=ZoneKind(row["kind"]),
        name=row["name"],
        outline=_areas(row["areas"]),
        reason=row["reason"],
        until=row["until"],
        version=row["version"],
        change_id=row["change_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
    )
