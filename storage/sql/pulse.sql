-- How a cluster stands, in numbers that name nobody.

-- name: fetch_orders
select status, count(*) as times
from (
    select status from orders where order_id >= $1 order by order_id desc limit $2
) recent
group by status

-- name: fetch_latest
select delivery_status, status, updated_at
from (
    select delivery_status, status, updated_at
    from orders where order_id >= $1 order by order_id desc limit $2
) recent
order by updated_at desc
limit $3

-- name: fetch_couriers
select stage, count(*) as times from couriers where stage <> 'off' group by stage
