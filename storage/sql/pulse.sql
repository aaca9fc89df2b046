-- How a cluster, or a tenant's part of it, stands, in numbers that name nobody.

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

-- name: fetch_orders_of_tenant
select known.status, count(*) as times
from (
    select order_id from order_note
    where tenant_id = $3 and order_id >= $1 order by order_id desc limit $2
) recent
join orders known using (order_id)
group by known.status

-- name: fetch_latest_of_tenant
select known.delivery_status, known.status, known.updated_at
from (
    select order_id from order_note
    where tenant_id = $4 and order_id >= $1 order by order_id desc limit $2
) recent
join orders known using (order_id)
order by known.updated_at desc
limit $3

-- name: fetch_couriers_of_tenant
select courier.stage, count(*) as times
from users as person
join couriers as courier on courier.courier_id = person.courier_id
where person.tenant_id = $1 and courier.stage <> 'off'
group by courier.stage
