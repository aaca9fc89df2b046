-- What a node asks of the table of leases. All writing is done by functions (see the migrations).

-- name: take_lock
select next.number
from (select nextval('node_lock')::integer as number) as next,
    lateral pg_advisory_lock(node_locks(), next.number)

-- name: join
select join_leases($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: renew
select renew_leases($1, $2, $3, $4, $5, $6)

-- name: look
select view_leases($1)

-- name: claim
select claim_lease($1, $2, $3, $4)

-- name: release
select release_lease($1, $2, $3)

-- name: leave
select leave_leases($1, $2)

-- name: ensure
select ensure_leases($1)
