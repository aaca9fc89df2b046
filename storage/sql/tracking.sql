-- Who belongs to a tenant, and the links by which an order is followed.

-- name: is_of_tenant
select
    exists (
        select from users where tenant_id = $1 and (user_id = $2 or courier_id = $2)
    )
    or exists (select from restaurants where tenant_id = $1 and restaurant_id = $2)
    or exists (
        select from orders
        join order_note using (order_id)
        where orders.user_id = $2 and order_note.tenant_id = $1
    )

-- name: create_link
with written as (
    insert into tracking_link (token_digest, order_id, created_at, expires_at)
    values ($1, $2, clock_timestamp(), instant($3))
    returning order_id
)
delete from tracking_link as old
using (
    select one.token_digest from tracking_link as one
    join written on written.order_id = one.order_id
    order by one.created_at desc
    offset $4 - 1
) as beyond
where old.token_digest = beyond.token_digest

-- name: find_link
select order_id from tracking_link where token_digest = $1 and expires_at > clock_timestamp()

-- name: forget_links
delete from tracking_link where expires_at < clock_timestamp()
