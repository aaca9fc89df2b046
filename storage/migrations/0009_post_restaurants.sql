-- The restaurants as their tenants describe them. What a restaurant does at the moment (whether it
-- takes orders, what it cooks) is its actor's, and lies in its checkpoint.

create table restaurants (
    restaurant_id text primary key,
    tenant_id text not null,
    market_id text not null,
    shard bigint not null,
    name text not null,
    lat double precision not null,
    lng double precision not null,
    address jsonb not null,
    phone text,
    hours jsonb,
    capacity_max integer not null,
    prep_s double precision,
    busy_prep_s double precision not null,
    auto_accepts boolean not null,
    version bigint not null,
    change_id text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
) with (fillfactor = 80);
comment on table restaurants is 'Where every restaurant is, and how its tenant wants it run.';
comment on column restaurants.hours is 'When it takes orders; null for one that only staff opens.';
comment on column restaurants.change_id is
    'What wrote the row last, so that the same change is not made twice.';
create index restaurants_by_tenant on restaurants (tenant_id, restaurant_id);

create table shift_start (
    courier_id text primary key,
    shard bigint not null,
    until timestamptz not null
) with (fillfactor = 70);
comment on table shift_start is
    'Where a courier is about to start a shift; nobody starts him elsewhere until then.';
