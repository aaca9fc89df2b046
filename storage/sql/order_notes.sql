-- What is kept beside each order: whose it is, and what was asked for.

-- name: keep
insert into order_note (
    order_id, tenant_id, market_id, customer_id, restaurant_id, external_id,
    total_minor, currency, asked, created_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
on conflict do nothing
returning order_id

-- name: is_kept
select exists (select from order_note where order_id = $1)

-- name: forget_abandoned
delete from order_note as note
where note.tenant_id = $1 and note.external_id = $2
    and note.created_at < clock_timestamp() - make_interval(secs => $3)
    and not exists (select from orders where orders.order_id = note.order_id)

-- name: drop
delete from order_note as note
where note.order_id = $1
    and not exists (select from orders where orders.order_id = note.order_id)

-- name: find_order_id
select order_id from order_note where tenant_id = $1 and external_id = $2

-- name: fetch_own
select order_id from order_note where tenant_id = $1 and order_id = any ($2::text[])
