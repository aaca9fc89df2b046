-- What is known of an order that no machine needs to know, and the ways in which people list orders,
-- deliveries and facts: always in the order of a key that never changes, so that a page begins
-- exactly where the one before it ended.

create table order_note (
    order_id text not null primary key,
    tenant_id text not null,
    market_id text not null,
    customer_id text not null,
    restaurant_id text not null,
    external_id text,
    total_minor bigint,
    currency text,
    asked jsonb not null,
    created_at timestamptz not null,
    check ((total_minor is null) = (currency is null)),
    unique (tenant_id, external_id)
);

comment on table order_note is 'Whose an order is and what was asked for, written before the order is placed.';
comment on column order_note.asked is 'Lines, places and persons, as wire.orders.Asked.';

create index order_note_by_tenant on order_note (tenant_id, order_id);

-- Ids sort by the time they were made at.
drop index orders_by_user;
create index orders_by_user on orders (user_id, order_id);
drop index orders_by_restaurant;
create index orders_by_restaurant on orders (restaurant_id, order_id);
drop index deliveries_by_courier;
create index deliveries_by_courier on deliveries (courier_id, delivery_id);

create index fact_by_number on fact (number);
