-- The zones that a tenant draws: where its orders are taken, where they are paused, which streets
-- are closed, and where deliveries may cost more for a while.

create table zones (
    zone_id text primary key,
    tenant_id text not null,
    market_id text not null,
    kind text not null,
    name text not null,
    areas jsonb not null,
    reason text not null,
    until timestamptz,
    version bigint not null,
    change_id text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    ended_at timestamptz
) with (fillfactor = 80);
comment on table zones is 'Land with rules of its own, as tenants draw it; what has ended is kept.';
comment on column zones.areas is
    'Areas as rings of longitude and latitude, each outer ring followed by its holes.';
comment on column zones.until is 'When its rules lapse by themselves; null for one that stays.';
comment on column zones.change_id is
    'What wrote the row last, so that the same change is not made twice.';
create index zones_by_tenant on zones (tenant_id, market_id, zone_id) where ended_at is null;

create table zone_change (
    zone_id text not null,
    version bigint not null,
    made_by text not null,
    at timestamptz not null,
    zone jsonb not null,
    primary key (zone_id, version)
);
comment on table zone_change is 'Who made a zone what it was, version by version.';
