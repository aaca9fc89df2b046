-- The restaurants, and what their actors committed last.

-- name: create
insert into restaurants (
    restaurant_id, tenant_id, market_id, shard, name, lat, lng, address, phone, hours,
    capacity_max, prep_s, busy_prep_s, auto_accepts, external_id, version, change_id,
    created_at, updated_at
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, $16,
    clock_timestamp(), clock_timestamp()
)
on conflict do nothing
returning restaurant_id

-- name: is_created
select exists (select from restaurants where restaurant_id = $1)

-- name: save
update restaurants set
    name = $3, lat = $4, lng = $5, address = $6, phone = $7, hours = $8, capacity_max = $9,
    prep_s = $10, busy_prep_s = $11, auto_accepts = $12, external_id = $13, change_id = $14,
    version = version + 1, updated_at = clock_timestamp()
where restaurant_id = $1 and version = $2 and ended_at is null
returning restaurant_id

-- name: end
update restaurants set ended_at = clock_timestamp(), updated_at = clock_timestamp()
where restaurant_id = $1 and ended_at is null

-- name: find_by_external_id
select restaurant_id from restaurants
where tenant_id = $1 and external_id = $2 and ended_at is null

-- name: find
select
    restaurant_id, tenant_id, market_id, shard, name, lat, lng, address, phone, hours,
    capacity_max, prep_s, busy_prep_s, auto_accepts, external_id, version, change_id,
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from updated_at) * 1000)::bigint as updated_at,
    (extract(epoch from ended_at) * 1000)::bigint as ended_at
from restaurants
where restaurant_id = $1

-- name: find_kept
select
    one.restaurant_id, one.tenant_id, one.market_id, one.shard, one.name, one.lat, one.lng,
    one.address, one.phone, one.hours, one.capacity_max, one.prep_s, one.busy_prep_s,
    one.auto_accepts, one.external_id, one.version, one.change_id,
    (extract(epoch from one.created_at) * 1000)::bigint as created_at,
    (extract(epoch from one.updated_at) * 1000)::bigint as updated_at,
    (extract(epoch from one.ended_at) * 1000)::bigint as ended_at,
    kept.state
from restaurants as one
left join checkpoint as kept
    on kept.shard = one.shard and kept.kind = 'restaurant' and kept.key = one.restaurant_id
where one.restaurant_id = $1

-- name: fetch_page
select
    one.restaurant_id, one.tenant_id, one.market_id, one.shard, one.name, one.lat, one.lng,
    one.address, one.phone, one.hours, one.capacity_max, one.prep_s, one.busy_prep_s,
    one.auto_accepts, one.external_id, one.version, one.change_id,
    (extract(epoch from one.created_at) * 1000)::bigint as created_at,
    (extract(epoch from one.updated_at) * 1000)::bigint as updated_at,
    (extract(epoch from one.ended_at) * 1000)::bigint as ended_at,
    kept.state
from restaurants as one
left join checkpoint as kept
    on kept.shard = one.shard and kept.kind = 'restaurant' and kept.key = one.restaurant_id
where one.tenant_id = $1
    and one.ended_at is null
    and one.restaurant_id > $2
    and ($3::text is null or one.market_id = $3)
    and ($4::text[] is null or one.restaurant_id = any ($4))
order by one.restaurant_id
limit $5
