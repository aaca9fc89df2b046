-- What couriers did on their devices, and where they live.

-- name: greet
select
    couriers.shard,
    couriers.stage,
    (
        select max(counter) from device_act where courier_id = $1 and device_id = $2
    ) as counter
from (select $1::text as courier_id) as asked
left join couriers on couriers.courier_id = asked.courier_id

-- name: fetch_homes
select courier_id, shard, stage from couriers where courier_id = any ($1::text[])

-- name: find_outcome
select latest.counter as latest, act.counter, act.code, act.detail
from (
    select max(counter) as counter from device_act where courier_id = $1 and device_id = $2
) as latest
left join device_act as act
    on act.courier_id = $1 and act.device_id = $2 and act.counter = $3

-- name: keep
insert into device_act (courier_id, device_id, counter, acted_at, action, code, detail, at)
select courier_id, device_id, counter, to_timestamp(acted / 1000.0), action, code, detail,
    clock_timestamp()
from unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[]
) as done (courier_id, device_id, counter, acted, action, code, detail)
on conflict (courier_id, device_id, counter) do nothing

-- name: forget_old
delete from device_act as old
where old.at < clock_timestamp() - make_interval(secs => $1)
    and exists (
        select from device_act as later
        where later.courier_id = old.courier_id
            and later.device_id = old.device_id
            and later.counter > old.counter
    )
