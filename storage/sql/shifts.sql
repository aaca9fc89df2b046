-- The shifts of couriers: where each works, by the table that his shard writes, and his state there.

-- name: find
select courier.shard, kept.state
from couriers as courier
join checkpoint as kept
    on kept.shard = courier.shard and kept.kind = 'courier' and kept.key = courier.courier_id
where courier.courier_id = $1

-- name: find_of_tenant
select courier.shard, kept.state
from users as person
join couriers as courier on courier.courier_id = person.courier_id
join checkpoint as kept
    on kept.shard = courier.shard and kept.kind = 'courier' and kept.key = courier.courier_id
where person.tenant_id = $1 and person.courier_id = $2

-- name: fetch_page
select courier.shard, kept.state
from users as person
join couriers as courier on courier.courier_id = person.courier_id
join checkpoint as kept
    on kept.shard = courier.shard and kept.kind = 'courier' and kept.key = courier.courier_id
where person.tenant_id = $1
    and person.courier_id > $2
    and courier.stage <> 'off'
    and ($3::text is null or courier.market_id = $3)
order by person.courier_id
limit $4

-- name: begin
insert into shift_start as begun (courier_id, shard, until)
values ($1, $2, clock_timestamp() + make_interval(secs => $3))
on conflict (courier_id) do update set shard = excluded.shard, until = excluded.until
where begun.shard = excluded.shard or begun.until <= clock_timestamp()

-- name: settle
delete from shift_start where courier_id = $1 and shard = $2
