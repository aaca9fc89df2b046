-- What a desk of services asks of the table of claims. All time is the server's own.

-- name: claim
insert into service_claim as kept (shard, sequence, attempts, node, due_at)
values ($1, $2, 1, $3, clock_timestamp() + make_interval(secs => $4))
on conflict (shard, sequence) do update set
    attempts = kept.attempts + 1, node = excluded.node, due_at = excluded.due_at
where kept.due_at <= clock_timestamp()
returning attempts

-- name: find_left
select extract(epoch from due_at - clock_timestamp())::double precision
from service_claim where shard = $1 and sequence = $2

-- name: put_off
update service_claim
set node = null, due_at = clock_timestamp() + make_interval(secs => $4), last_error = $5
where shard = $1 and sequence = $2 and node = $3

-- name: settle
delete from service_claim where shard = $1 and sequence = $2 and node = $3

-- name: prune
with gone as (
    delete from service_claim
    where due_at < clock_timestamp() - make_interval(secs => $1)
    returning 1
)
select count(*) from gone
