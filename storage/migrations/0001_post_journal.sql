-- The journal of the shards, the feeds, and the tables of orders, deliveries and couriers.
-- A shard writes all of them with one call of `commit_batch`, which is the whole transaction.

create table shard_head (
    shard bigint primary key,
    epoch bigint not null,
    batch bigint not null,
    digest bytea not null default '',
    feed_heads bigint[] not null default '{}'
) with (fillfactor = 20, autovacuum_vacuum_cost_delay = 0);
comment on table shard_head is
    'Who may commit next: the epoch of a shard''s owner, its last batch and the answer to that.';

create table checkpoint (
    shard bigint not null,
    kind text not null,
    key text not null,
    state bytea not null,
    primary key (shard, kind, key)
) with (
    fillfactor = 65,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0.02
);
comment on table checkpoint is 'The states of living actors, which a new owner starts from.';

create table finished (
    shard bigint not null,
    kind text not null,
    key text not null,
    state bytea not null,
    finished_at timestamptz not null,
    primary key (shard, kind, key)
);
comment on table finished is
    'The last states of finished actors. One that lives again has a checkpoint, which counts.';

create table fact (
    number bigint generated always as identity,
    shard bigint not null,
    kind text not null,
    key text not null,
    fact bytea not null,
    at timestamptz not null
) partition by range (at);
comment on table fact is 'What happened, for ever; by number in the order of the commits.';
create index fact_by_key on fact (key, number);
create table fact_default partition of fact default;

create table outbox (
    shard bigint not null,
    sequence bigint not null,
    kind text not null,
    key text not null,
    message bytea not null,
    target bigint,
    primary key (shard, sequence)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02);
comment on table outbox is 'What a shard has told others and is not yet known to be handled.';

create table inbox_mark (
    shard bigint not null,
    source bigint not null,
    sequence bigint not null,
    primary key (shard, source, sequence)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02);
comment on table inbox_mark is 'Outbox rows of other shards that were handled here.';

create table inbox_floor (
    shard bigint not null,
    source bigint not null,
    sequence bigint not null,
    primary key (shard, source)
) with (fillfactor = 50);
comment on table inbox_floor is 'Below it, everything of a source counts as handled.';

create table feed_head (
    person text primary key,
    number bigint not null
) with (
    fillfactor = 50,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0.02
);
comment on table feed_head is 'The number of the newest message of each person''s feed.';

create table feed_message (
    person text not null,
    number bigint not null,
    message bytea not null,
    at timestamptz not null,
    primary key (person, number)
);
comment on table feed_message is 'What a person should see, numbered without gaps.';

create table dead_letter (
    id bigint generated always as identity primary key,
    shard bigint not null,
    kind text not null,
    key text not null,
    message bytea not null,
    error text not null,
    at timestamptz not null,
    replay_requested_at timestamptz,
    replayed_at timestamptz
);
comment on table dead_letter is 'Messages whose handling failed, for operations to replay.';
create index dead_letter_to_replay on dead_letter (shard, id)
    where replay_requested_at is not null and replayed_at is null;

create table idempotency (
    scope text not null,
    key text not null,
    request_digest bytea not null,
    status integer,
    body bytea,
    created_at timestamptz not null,
    primary key (scope, key)
) with (fillfactor = 70);
comment on table idempotency is 'Requests that were answered, or are being; kept for a day.';
create index idempotency_by_age on idempotency using brin (created_at);

create table orders (
    order_id text primary key,
    shard bigint not null,
    market_id text not null,
    user_id text not null,
    restaurant_id text not null,
    courier_id text,
    status text not null,
    delivery_status text not null,
    reason text not null,
    total_minor bigint,
    currency text,
    created_at timestamptz not null,
    wanted_at timestamptz,
    ready_at timestamptz,
    updated_at timestamptz not null,
    check ((total_minor is null) = (currency is null))
) with (
    fillfactor = 65,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0.02
);
comment on table orders is 'Every order as last committed; without a total until it has a price.';
create index orders_by_user on orders (user_id, created_at);
create index orders_by_restaurant on orders (restaurant_id, created_at);

create table deliveries (
    delivery_id text primary key,
    shard bigint not null,
    order_id text not null,
    courier_id text,
    status text not null,
    assigned_at timestamptz,
    picked_up_at timestamptz,
    completed_at timestamptz,
    updated_at timestamptz not null
) with (
    fillfactor = 65,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0.02
);
comment on table deliveries is 'The courier''s side of every order as last committed.';
create index deliveries_by_courier on deliveries (courier_id, assigned_at);

create table couriers (
    courier_id text primary key,
    shard bigint not null,
    market_id text not null,
    stage text not null,
    updated_at timestamptz not null
) with (fillfactor = 65);
comment on table couriers is 'Where every courier works, and whether he does.';

create function instant(ms bigint) returns timestamptz
language sql immutable strict parallel safe
return to_timestamp(ms / 1000.0::double precision);
comment on function instant is 'The time of an instant in milliseconds since 1970.';

create function make_fact_partitions(months_ahead integer) returns integer
language plpgsql as $$
declare
    first date := date_trunc('month', clock_timestamp() at time zone 'utc')::date;
    begins date;
    made integer := 0;
begin
    for ahead in 0..months_ahead loop
        begins := first + make_interval(months => ahead);
        if to_regclass(to_char(begins, '"fact_"YYYY_MM')) is null then
            perform pg_advisory_xact_lock(hashtext('make_fact_partitions'));
            begin
                execute format(
                    'create table if not exists %I partition of fact for values from (%L) to (%L)',
                    to_char(begins, '"fact_"YYYY_MM'),
                    to_char(begins, 'YYYY-MM-DD"T00:00:00Z"'),
                    to_char(begins + interval '1 month', 'YYYY-MM-DD"T00:00:00Z"')
                );
                made := made + 1;
            exception when check_violation then
                -- Facts of that month lie in the default partition already, and stay there.
                raise notice 'the partition of % could not be made', begins;
            end;
        end if;
    end loop;
    return made;
end
$$;
comment on function make_fact_partitions is
    'Makes the partitions of this month and some further ones; a fact without one has the default.';

create function open_shard(p_shard bigint, p_node text, out p_epoch bigint, out p_batch bigint)
language plpgsql as $$
begin
    if p_node is not null then
        -- The lease is held still meanwhile, so that nobody else can claim it before the epoch is up.
        perform 1 from lease
        where shard = p_shard and node = p_node and expires_at > clock_timestamp()
        for share;
        if not found then
            return;
        end if;
    end if;
    insert into shard_head as head (shard, epoch, batch) values (p_shard, 1, 0)
    on conflict (shard) do update set epoch = head.epoch + 1
    returning head.epoch, head.batch into p_epoch, p_batch;
end
$$;
comment on function open_shard is
    'Raises the epoch, after a commit under way and before any later one of the owner before. '
    'Of a node that does not hold the lease it raises none, and returns nulls.';

create function commit_batch(
    p_shard bigint,
    p_epoch bigint,
    p_number bigint,
    p_digest bytea,
    p_at bigint,
    live_kinds text[], live_keys text[], live_states bytea[],
    done_kinds text[], done_keys text[], done_states bytea[],
    fact_kinds text[], fact_keys text[], facts bytea[],
    outbox_sequences bigint[], outbox_kinds text[], outbox_keys text[],
    outbox_messages bytea[], outbox_targets bigint[],
    handled bigint[],
    mark_sources bigint[], mark_sequences bigint[],
    floor_sources bigint[], floor_sequences bigint[],
    feed_persons text[], feed_counts bigint[],
    feed_places integer[], feed_behind bigint[], feed_messages bytea[],
    letter_kinds text[], letter_keys text[], letter_messages bytea[], letter_errors text[],
    order_ids text[], order_markets text[], order_users text[], order_restaurants text[],
    order_couriers text[], order_statuses text[], order_reasons text[],
    orders_created bigint[], orders_wanted bigint[], orders_ready bigint[],
    delivery_statuses text[], deliveries_assigned bigint[], deliveries_picked_up bigint[],
    deliveries_completed bigint[],
    courier_ids text[], courier_markets text[], courier_stages text[]
) returns bigint[]
language plpgsql as $$
declare
    written_at timestamptz := instant(p_at);
    heads bigint[] := '{}';
    updated bigint;
    done record;
begin
    update shard_head set batch = p_number, digest = p_digest, feed_heads = '{}'
    where shard = p_shard and epoch = p_epoch and batch = p_number - 1;
    if not found then
        -- The same batch again is answered as it was the first time; any other gets null.
        return (
            select head.feed_heads from shard_head as head
            where head.shard = p_shard and head.epoch = p_epoch
                and head.batch = p_number and head.digest = p_digest
        );
    end if;

    if cardinality(live_keys) > 0 then
        -- No join: of a shard that is new to the statistics the planner expects a row or two, and
        -- would read all of it to find them.
        insert into checkpoint (shard, kind, key, state)
        select p_shard, kind, key, state
        from unnest(live_kinds, live_keys, live_states) as live (kind, key, state)
        on conflict (shard, kind, key) do update set state = excluded.state;
    end if;

    if cardinality(done_keys) > 0 then
        for done in select kind, key from unnest(done_kinds, done_keys) as one (kind, key) loop
            delete from checkpoint
            where shard = p_shard and kind = done.kind and key = done.key;
        end loop;
        insert into finished (shard, kind, key, state, finished_at)
        select p_shard, kind, key, state, written_at
        from unnest(done_kinds, done_keys, done_states) as done (kind, key, state)
        on conflict (shard, kind, key) do update
            set state = excluded.state, finished_at = excluded.finished_at;
    end if;

    if cardinality(facts) > 0 then
        insert into fact (shard, kind, key, fact, at)
        select p_shard, kind, key, new_fact, written_at
        from unnest(fact_kinds, fact_keys, facts) as happened (kind, key, new_fact);
    end if;

    if cardinality(outbox_sequences) > 0 then
        insert into outbox (shard, sequence, kind, key, message, target)
        select p_shard, sequence, kind, key, message, target
        from unnest(outbox_sequences, outbox_kinds, outbox_keys, outbox_messages, outbox_targets)
            as told (sequence, kind, key, message, target);
    end if;

    if cardinality(handled) > 0 then
        delete from outbox where shard = p_shard and sequence = any (handled);
    end if;

    if cardinality(mark_sources) > 0 then
        insert into inbox_mark (shard, source, sequence)
        select p_shard, source, sequence
        from unnest(mark_sources, mark_sequences) as mark (source, sequence)
        on conflict do nothing;
    end if;

    if cardinality(floor_sources) > 0 then
        insert into inbox_floor (shard, source, sequence)
        select p_shard, source, sequence
        from unnest(floor_sources, floor_sequences) as floor (source, sequence)
        on conflict (shard, source) do update set sequence = excluded.sequence;
        delete from inbox_mark as mark
        using unnest(floor_sources, floor_sequences) as floor (source, sequence)
        where mark.shard = p_shard and mark.source = floor.source
            and mark.sequence < floor.sequence;
    end if;

    if cardinality(feed_persons) > 0 then
        -- The persons come sorted, so that two shards lock heads in one order and never wait for
        -- each other. Message by message, `feed_places` says whose it is of them, and `feed_behind`
        -- how many of his follow.
        with head as (
            insert into feed_head as kept (person, number)
            select person, said from unnest(feed_persons, feed_counts) as said (person, said)
            on conflict (person) do update set number = kept.number + excluded.number
            returning kept.number
        )
        select array_agg(number) from head into heads;
        insert into feed_message (person, number, message, at)
        select feed_persons[place], heads[place] - behind, message, written_at
        from unnest(feed_places, feed_behind, feed_messages) as said (place, behind, message);
        update shard_head set feed_heads = heads where shard = p_shard;
    end if;

    if cardinality(letter_keys) > 0 then
        insert into dead_letter (shard, kind, key, message, error, at)
        select p_shard, kind, key, message, error, written_at
        from unnest(letter_kinds, letter_keys, letter_messages, letter_errors)
            as letter (kind, key, message, error);
    end if;

    if cardinality(order_ids) > 0 then
        update orders as kept set
            courier_id = changed.courier_id,
            status = changed.status,
            delivery_status = changed.delivery_status,
            reason = changed.reason,
            ready_at = instant(changed.ready),
            updated_at = written_at
        from unnest(
            order_ids, order_couriers, order_statuses, delivery_statuses, order_reasons, orders_ready
        ) as changed (order_id, courier_id, status, delivery_status, reason, ready)
        where kept.order_id = changed.order_id;
        get diagnostics updated = row_count;
        if updated < cardinality(order_ids) then
            insert into orders (
                order_id, shard, market_id, user_id, restaurant_id, courier_id, status,
                delivery_status, reason, created_at, wanted_at, ready_at, updated_at
            )
            select
                order_id, p_shard, market_id, user_id, restaurant_id, courier_id, status,
                delivery_status, reason, instant(created), instant(wanted), instant(ready),
                written_at
            from unnest(
                order_ids, order_markets, order_users, order_restaurants, order_couriers,
                order_statuses, delivery_statuses, order_reasons, orders_created, orders_wanted,
                orders_ready
            ) as placed (
                order_id, market_id, user_id, restaurant_id, courier_id,
                status, delivery_status, reason, created, wanted, ready
            )
            on conflict do nothing;
        end if;

        update deliveries as kept set
            courier_id = changed.courier_id,
            status = changed.status,
            assigned_at = instant(changed.assigned),
            picked_up_at = instant(changed.picked_up),
            completed_at = instant(changed.completed),
            updated_at = written_at
        from unnest(
            order_ids, order_couriers, delivery_statuses,
            deliveries_assigned, deliveries_picked_up, deliveries_completed
        ) as changed (order_id, courier_id, status, assigned, picked_up, completed)
        where kept.delivery_id = changed.order_id;
        get diagnostics updated = row_count;
        if updated < cardinality(order_ids) then
            insert into deliveries (
                delivery_id, shard, order_id, courier_id, status,
                assigned_at, picked_up_at, completed_at, updated_at
            )
            select
                order_id, p_shard, order_id, courier_id, status,
                instant(assigned), instant(picked_up), instant(completed), written_at
            from unnest(
                order_ids, order_couriers, delivery_statuses,
                deliveries_assigned, deliveries_picked_up, deliveries_completed
            ) as placed (order_id, courier_id, status, assigned, picked_up, completed)
            on conflict do nothing;
        end if;
    end if;

    if cardinality(courier_ids) > 0 then
        update couriers as kept set
            shard = p_shard,
            market_id = changed.market_id,
            stage = changed.stage,
            updated_at = written_at
        from unnest(courier_ids, courier_markets, courier_stages)
            as changed (courier_id, market_id, stage)
        where kept.courier_id = changed.courier_id
            and (kept.shard, kept.market_id, kept.stage)
                is distinct from (p_shard, changed.market_id, changed.stage);
        insert into couriers (courier_id, shard, market_id, stage, updated_at)
        select courier_id, p_shard, market_id, stage, written_at
        from unnest(courier_ids, courier_markets, courier_stages)
            as changed (courier_id, market_id, stage)
        where not exists (
            select from couriers as kept where kept.courier_id = changed.courier_id
        )
        on conflict do nothing;
    end if;

    return heads;
end
$$;
comment on function commit_batch is
    'Writes a batch whole and returns the newest numbers of its persons'' feeds, or null if it may not.';

select make_fact_partitions(2);
