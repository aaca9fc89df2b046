-- The journal as people read it: the facts of orders, by number.

-- name: fetch_of_order
select number, key, fact, (extract(epoch from at) * 1000)::bigint as at
from fact
where kind = 'order' and key = $1 and number > $2
order by number
limit $3

-- name: newest_number
select case when is_called then last_value else 0 end from fact_number_seq

-- name: own_transaction
select pg_current_xact_id()::text

-- name: are_over
select pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8

-- name: fetch_of_tenant
select happened.number, happened.key, happened.fact,
    (extract(epoch from happened.at) * 1000)::bigint as at
from fact as happened
join order_note as note on note.order_id = happened.key
where happened.kind = 'order' and note.tenant_id = $1
    and happened.number > $2 and happened.number <= $3
order by happened.number
limit $4

-- name: find_floor
select coalesce((select floor from retention where what = 'facts'), 0)
