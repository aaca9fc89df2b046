-- The couriers of tenants, and where they work. Who has never begun a shift is off.

-- name: find
select
    person.courier_id, person.name, courier.shard, courier.market_id,
    coalesce(courier.stage, 'off') as stage,
    (extract(epoch from courier.updated_at) * 1000)::bigint as since
from users as person
left join couriers as courier on courier.courier_id = person.courier_id
where person.tenant_id = $1 and person.courier_id = $2

-- name: fetch_page
select
    person.courier_id, person.name, courier.shard, courier.market_id,
    coalesce(courier.stage, 'off') as stage,
    (extract(epoch from courier.updated_at) * 1000)::bigint as since
from users as person
left join couriers as courier on courier.courier_id = person.courier_id
where person.tenant_id = $1
    and person.courier_id > $2
    and ($3::text is null or courier.market_id = $3)
    and ($4::text is null or coalesce(courier.stage, 'off') = $4)
order by person.courier_id
limit $5
