-- How far each device has come in a feed, and where a device begins to follow it.

-- name: find_start
select
    coalesce(
        (select number from feed_head where person = $1), 0
    ) as newest,
    (select number from feed_message where person = $1 order by number limit 1) as oldest,
    (select message_id from device_cursor where person = $1 and device_id = $2) as message_id

-- name: find_newest
select number from feed_head where person = $1

-- name: store
with acked as (
    select person, device_id, max(message_id) as message_id
    from unnest($1::text[], $2::text[], $3::bigint[]) as said (person, device_id, message_id)
    group by person, device_id
    order by person, device_id
),
stored as (
    insert into device_cursor as kept (person, device_id, message_id, updated_at)
    select acked.person, acked.device_id, least(acked.message_id, head.number), clock_timestamp()
    from acked
    join feed_head as head on head.person = acked.person
    on conflict (person, device_id) do update
        set message_id = excluded.message_id, updated_at = excluded.updated_at
        where excluded.message_id > kept.message_id
    returning kept.person, kept.device_id, (kept.xmax = 0) as is_new
)
delete from device_cursor as old
using (
    select kept.person, kept.device_id
    from (select distinct person from stored where is_new) as grown
    cross join lateral (
        select one.person, one.device_id from device_cursor as one
        where one.person = grown.person
        order by one.updated_at desc, one.device_id
        offset $4 - 1
    ) as kept
) as beyond
where old.person = beyond.person and old.device_id = beyond.device_id
