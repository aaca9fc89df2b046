-- What operations, and the owners of shards, ask of the dead letters. Journals write them.

-- name: fetch_newest
select
    id, shard, kind, key, message, error,
    (extract(epoch from at) * 1000)::bigint,
    (extract(epoch from replay_requested_at) * 1000)::bigint,
    (extract(epoch from replayed_at) * 1000)::bigint,
    replay_outcome
from dead_letter
where $1::text is null or kind = $1
order by id desc
limit $2

-- name: request_replay
update dead_letter
set replay_requested_at = clock_timestamp(), replayed_at = null, replay_outcome = null
where id = any ($1::bigint[])
returning id

-- name: fetch_requested
select
    id, shard, kind, key, message, error,
    (extract(epoch from at) * 1000)::bigint,
    (extract(epoch from replay_requested_at) * 1000)::bigint,
    (extract(epoch from replayed_at) * 1000)::bigint,
    replay_outcome
from dead_letter
where shard = any ($1::bigint[]) and replay_requested_at is not null and replayed_at is null
order by id
limit $2

-- name: settle
update dead_letter
set replayed_at = clock_timestamp(), replay_outcome = $2
where id = $1 and replayed_at is null
