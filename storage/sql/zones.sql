-- The zones that tenants draw, and who made them what they are.

-- name: create
with room as (
    select count(*) < $12 as is_left from zones
    where tenant_id = $2 and market_id = $3 and ended_at is null
        and (until is null or until > clock_timestamp())
), made as (
    insert into zones (
        zone_id, tenant_id, market_id, kind, name, areas, reason, until, version, change_id,
        created_at, updated_at
    )
    select
        $1, $2, $3, $4, $5, $6, $7, to_timestamp($8::float8 / 1000), 1, $9,
        clock_timestamp(), clock_timestamp()
    from room where is_left
    on conflict (zone_id) do nothing
    returning zone_id, version, updated_at
), noted as (
    insert into zone_change (zone_id, version, made_by, at, zone)
    select zone_id, version, $10, updated_at, $11 from made
)
select (select is_left from room) or exists (select from zones where zone_id = $1)

-- name: save
with changed as (
    update zones set
        name = $3, areas = $4, reason = $5, until = to_timestamp($6::float8 / 1000),
        change_id = $7, version = version + 1, updated_at = clock_timestamp()
    where zone_id = $1 and version = $2 and ended_at is null
    returning zone_id, version, updated_at
), noted as (
    insert into zone_change (zone_id, version, made_by, at, zone)
    select zone_id, version, $8, updated_at, $9 from changed
)
select count(*) from changed

-- name: end
with changed as (
    update zones set
        ended_at = clock_timestamp(), change_id = $3, version = version + 1,
        updated_at = clock_timestamp()
    where zone_id = $1 and version = $2 and ended_at is null
    returning zone_id, version, updated_at
), noted as (
    insert into zone_change (zone_id, version, made_by, at, zone)
    select zone_id, version, $4, updated_at, $5 from changed
)
select count(*) from changed

-- name: find
select
    zone_id, tenant_id, market_id, kind, name, areas, reason,
    (extract(epoch from until) * 1000)::bigint as until, version, change_id,
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from updated_at) * 1000)::bigint as updated_at,
    (extract(epoch from ended_at) * 1000)::bigint as ended_at
from zones
where zone_id = $1

-- name: fetch_some
select
    zone_id, tenant_id, market_id, kind, name, areas, reason,
    (extract(epoch from until) * 1000)::bigint as until, version, change_id,
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from updated_at) * 1000)::bigint as updated_at,
    null::bigint as ended_at
from zones
where zone_id = any ($1) and ended_at is null

-- name: fetch_versions
select zone_id, version from zones
where ended_at is null and kind = any ($1)
    and (until is null or until > clock_timestamp() - interval '1 hour')
order by zone_id
limit $2

-- name: fetch_changes
select version, made_by, (extract(epoch from at) * 1000)::bigint as at, zone
from zone_change
where zone_id = $1 and version < $2
order by version desc
limit $3
