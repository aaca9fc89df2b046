-- Orders as people see them: what was committed last, beside what was asked for. Pages go back from
-- a key, the newest first; which orders a page has is found by an index, one for each who may ask.

-- name: fetch
select
    note.order_id, note.tenant_id, note.market_id, note.customer_id, note.restaurant_id,
    note.external_id, note.total_minor, note.currency, note.asked,
    orders.shard, orders.courier_id, orders.status, orders.delivery_status, orders.reason,
    orders.created_at, orders.wanted_at, orders.ready_at, orders.updated_at,
    deliveries.assigned_at, deliveries.picked_up_at, deliveries.completed_at
from order_note as note
join orders on orders.order_id = note.order_id
join deliveries on deliveries.delivery_id = note.order_id
where note.order_id = any ($1)
order by note.order_id desc

-- name: page_of_tenant
-- By the notes, and each order looked up: the planner would rather read all orders of a rare status.
select note.order_id
from order_note as note
cross join lateral (
    select orders.status, orders.delivery_status
    from orders
    where orders.order_id = note.order_id
    offset 0
) as known
where note.tenant_id = $6
    and note.order_id < $1 and note.order_id >= $2
    and ($3::text[] is null or known.status = any ($3))
    and ($4::text[] is null or known.delivery_status = any ($4))
order by note.order_id desc
limit $5

-- name: page_of_customer
select orders.order_id
from orders
join order_note as note on note.order_id = orders.order_id
where orders.user_id = $7 and note.tenant_id = $6
    and orders.order_id < $1 and orders.order_id >= $2
    and ($3::text[] is null or orders.status = any ($3))
    and ($4::text[] is null or orders.delivery_status = any ($4))
    and ($8::text is null or orders.restaurant_id = $8)
order by orders.order_id desc
limit $5

-- name: page_of_restaurants
select found.order_id
from restaurants as own
cross join lateral (
    select orders.order_id
    from orders
    where orders.restaurant_id = own.restaurant_id
        and orders.order_id < $1 and orders.order_id >= $2
        and ($3::text[] is null or orders.status = any ($3))
        and ($4::text[] is null or orders.delivery_status = any ($4))
    order by orders.order_id desc
    limit $5
) as found
where own.restaurant_id = any ($7) and own.tenant_id = $6
order by found.order_id desc
limit $5

-- name: page_of_courier
select deliveries.delivery_id
from deliveries
join orders on orders.order_id = deliveries.delivery_id
where deliveries.courier_id = $6 and deliveries.status <> 'offered'
    and deliveries.delivery_id < $1 and deliveries.delivery_id >= $2
    and ($3::text[] is null or orders.status = any ($3))
    and ($4::text[] is null or deliveries.status = any ($4))
order by deliveries.delivery_id desc
limit $5
