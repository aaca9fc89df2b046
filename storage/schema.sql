-- Made by `python -m storage.migrate --snapshot URL`; change the migrations instead.

create sequence node_lock;

create table api_key (
    key_id text not null,
    tenant_id text not null,
    name text not null,
    digest bytea not null,
    hint text not null,
    scopes text[] not null,
    created_by text not null,
    created_at timestamp with time zone default clock_timestamp() not null,
    revoked_at timestamp with time zone,
    constraint api_key_digest_key UNIQUE (digest),
    constraint api_key_pkey PRIMARY KEY (key_id)
);

create table authorization_code (
    digest bytea not null,
    client_id text not null,
    user_id text not null,
    redirect_uri text not null,
    challenge text not null,
    scopes text[] not null,
    expires_at timestamp with time zone not null,
    session_id text,
    constraint authorization_code_pkey PRIMARY KEY (digest)
);

create table checkpoint (
    shard bigint not null,
    kind text not null,
    key text not null,
    state bytea not null,
    constraint checkpoint_pkey PRIMARY KEY (shard, kind, key)
) with (fillfactor=65, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table client (
    client_id text not null,
    tenant_id text not null,
    name text not null,
    secret_digest bytea,
    redirect_uris text[] default '{}'::text[] not null,
    scopes text[] default '{}'::text[] not null,
    created_at timestamp with time zone default clock_timestamp() not null,
    revoked_at timestamp with time zone,
    constraint client_pkey PRIMARY KEY (client_id)
);

create table couriers (
    courier_id text not null,
    shard bigint not null,
    market_id text not null,
    stage text not null,
    updated_at timestamp with time zone not null,
    constraint couriers_pkey PRIMARY KEY (courier_id)
) with (fillfactor=65);

create table dead_letter (
    id bigint generated always as identity not null,
    shard bigint not null,
    kind text not null,
    key text not null,
    message bytea not null,
    error text not null,
    at timestamp with time zone not null,
    replay_requested_at timestamp with time zone,
    replayed_at timestamp with time zone,
    replay_outcome text,
    constraint dead_letter_pkey PRIMARY KEY (id)
);

create table deliveries (
    delivery_id text not null,
    shard bigint not null,
    order_id text not null,
    courier_id text,
    status text not null,
    assigned_at timestamp with time zone,
    picked_up_at timestamp with time zone,
    completed_at timestamp with time zone,
    updated_at timestamp with time zone not null,
    constraint deliveries_pkey PRIMARY KEY (delivery_id)
) with (fillfactor=65, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table device (
    user_id text not null,
    device_id text not null,
    name text default ''::text not null,
    created_at timestamp with time zone default clock_timestamp() not null,
    seen_at timestamp with time zone default clock_timestamp() not null,
    constraint device_pkey PRIMARY KEY (user_id, device_id)
) with (fillfactor=80);

create table device_act (
    courier_id text not null,
    device_id text not null,
    counter bigint not null,
    acted_at timestamp with time zone not null,
    action text not null,
    code text default ''::text not null,
    detail text default ''::text not null,
    at timestamp with time zone not null,
    constraint device_act_pkey PRIMARY KEY (courier_id, device_id, counter)
);

create table device_cursor (
    person text not null,
    device_id text not null,
    message_id bigint not null,
    updated_at timestamp with time zone not null,
    constraint device_cursor_pkey PRIMARY KEY (person, device_id)
) with (fillfactor=50, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table door (
    node text not null,
    address text not null,
    opened_at timestamp with time zone not null,
    constraint door_pkey PRIMARY KEY (node)
) with (fillfactor=70);

create table fact (
    number bigint generated always as identity not null,
    shard bigint not null,
    kind text not null,
    key text not null,
    fact bytea not null,
    at timestamp with time zone not null
) partition by RANGE (at);

create table feed_head (
    person text not null,
    number bigint not null,
    constraint feed_head_pkey PRIMARY KEY (person)
) with (fillfactor=50, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table feed_message (
    person text not null,
    number bigint not null,
    message bytea not null,
    at timestamp with time zone not null,
    epoch bigint default 0 not null,
    constraint feed_message_pkey PRIMARY KEY (person, number)
);

create table finished (
    shard bigint not null,
    kind text not null,
    key text not null,
    state bytea not null,
    finished_at timestamp with time zone not null,
    constraint finished_pkey PRIMARY KEY (shard, kind, key)
);

create table idempotency (
    scope text not null,
    key text not null,
    request_digest bytea not null,
    status integer,
    body bytea,
    created_at timestamp with time zone not null,
    claimed_at timestamp with time zone default '-infinity'::timestamp with time zone not null,
    headers jsonb,
    constraint idempotency_pkey PRIMARY KEY (scope, key)
) with (fillfactor=70);

create table inbox_floor (
    shard bigint not null,
    source bigint not null,
    sequence bigint not null,
    constraint inbox_floor_pkey PRIMARY KEY (shard, source)
) with (fillfactor=50);

create table inbox_mark (
    shard bigint not null,
    source bigint not null,
    sequence bigint not null,
    constraint inbox_mark_pkey PRIMARY KEY (shard, source, sequence)
) with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table lease (
    shard bigint not null,
    node text,
    expires_at timestamp with time zone,
    load real default 0 not null,
    freed_at timestamp with time zone,
    constraint lease_check CHECK (((node IS NULL) = (expires_at IS NULL))),
    constraint lease_check1 CHECK (((node IS NULL) <> (freed_at IS NULL))),
    constraint lease_pkey PRIMARY KEY (shard)
) with (fillfactor=20);

create table market (
    market_id text not null,
    shard bigint not null,
    cells bigint[] not null,
    settings bytea not null,
    constraint market_pkey PRIMARY KEY (market_id),
    constraint market_shard_key UNIQUE (shard)
);

create table migration (
    number integer not null,
    name text not null,
    checksum text not null,
    applied_at timestamp with time zone default clock_timestamp() not null,
    constraint migration_pkey PRIMARY KEY (number)
);

create table node (
    node text not null,
    address text not null,
    version text not null,
    load real default 0 not null,
    lock_number integer not null,
    lock_era text not null,
    process text not null,
    renewed_at timestamp with time zone not null,
    is_leaving boolean default false not null,
    constraint node_lock_number_key UNIQUE (lock_number),
    constraint node_pkey PRIMARY KEY (node)
) with (fillfactor=20);

create table order_note (
    order_id text not null,
    tenant_id text not null,
    market_id text not null,
    customer_id text not null,
    restaurant_id text not null,
    external_id text,
    total_minor bigint,
    currency text,
    asked jsonb not null,
    created_at timestamp with time zone not null,
    constraint order_note_check CHECK (((total_minor IS NULL) = (currency IS NULL))),
    constraint order_note_pkey PRIMARY KEY (order_id),
    constraint order_note_tenant_id_external_id_key UNIQUE (tenant_id, external_id)
);

create table orders (
    order_id text not null,
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
    created_at timestamp with time zone not null,
    wanted_at timestamp with time zone,
    ready_at timestamp with time zone,
    updated_at timestamp with time zone not null,
    constraint orders_check CHECK (((total_minor IS NULL) = (currency IS NULL))),
    constraint orders_pkey PRIMARY KEY (order_id)
) with (fillfactor=65, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table outbox (
    shard bigint not null,
    sequence bigint not null,
    kind text not null,
    key text not null,
    message bytea not null,
    target bigint,
    constraint outbox_pkey PRIMARY KEY (shard, sequence)
) with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02);

create table restaurants (
    restaurant_id text not null,
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
    created_at timestamp with time zone not null,
    updated_at timestamp with time zone not null,
    external_id text,
    ended_at timestamp with time zone,
    constraint restaurants_pkey PRIMARY KEY (restaurant_id)
) with (fillfactor=80);

create table retention (
    what text not null,
    claimed_at timestamp with time zone not null,
    "position" text default ''::text not null,
    floor bigint default 0 not null,
    constraint retention_pkey PRIMARY KEY (what)
) with (fillfactor=50);

create table service_claim (
    shard bigint not null,
    sequence bigint not null,
    attempts integer not null,
    node text,
    due_at timestamp with time zone not null,
    last_error text default ''::text not null,
    constraint service_claim_pkey PRIMARY KEY (shard, sequence)
) with (fillfactor=70);

create table session (
    session_id text not null,
    tenant_id text not null,
    user_id text not null,
    device_id text not null,
    client_id text not null,
    scopes text[] not null,
    family_digest bytea not null,
    refresh_digest bytea not null,
    created_at timestamp with time zone default clock_timestamp() not null,
    refreshed_at timestamp with time zone default clock_timestamp() not null,
    expires_at timestamp with time zone not null,
    ended_at timestamp with time zone,
    end_reason text default ''::text not null,
    constraint session_pkey PRIMARY KEY (session_id)
) with (fillfactor=70);

create table shard_head (
    shard bigint not null,
    epoch bigint not null,
    batch bigint not null,
    digest bytea default '\x'::bytea not null,
    feed_heads bigint[] default '{}'::bigint[] not null,
    constraint shard_head_pkey PRIMARY KEY (shard)
) with (fillfactor=20, autovacuum_vacuum_cost_delay=0);

create table shift_start (
    courier_id text not null,
    shard bigint not null,
    until timestamp with time zone not null,
    constraint shift_start_pkey PRIMARY KEY (courier_id)
) with (fillfactor=70);

create table signing_key (
    kid text not null,
    state text not null,
    public_key bytea not null,
    sealed bytea not null,
    since timestamp with time zone default clock_timestamp() not null,
    constraint signing_key_pkey PRIMARY KEY (kid),
    constraint signing_key_state_check CHECK ((state = ANY (ARRAY['next'::text, 'active'::text, 'retiring'::text, 'gone'::text])))
);

create table tenant (
    tenant_id text not null,
    name text not null,
    created_at timestamp with time zone default clock_timestamp() not null,
    constraint tenant_pkey PRIMARY KEY (tenant_id)
);

create table tracking_link (
    token_digest bytea not null,
    order_id text not null,
    created_at timestamp with time zone not null,
    expires_at timestamp with time zone not null,
    constraint tracking_link_pkey PRIMARY KEY (token_digest)
);

create table users (
    user_id text not null,
    tenant_id text not null,
    role text not null,
    email text not null,
    name text not null,
    phone text default ''::text not null,
    address text default ''::text not null,
    password_hash text default ''::text not null,
    courier_id text,
    restaurant_ids text[] default '{}'::text[] not null,
    totp_sealed bytea,
    totp_confirmed boolean default false not null,
    totp_step bigint default 0 not null,
    recovery_digests bytea[] default '{}'::bytea[] not null,
    is_blocked boolean default false not null,
    created_at timestamp with time zone default clock_timestamp() not null,
    constraint users_courier_id_key UNIQUE (courier_id),
    constraint users_pkey PRIMARY KEY (user_id),
    constraint users_tenant_id_email_key UNIQUE (tenant_id, email)
);

create table zone_change (
    zone_id text not null,
    version bigint not null,
    made_by text not null,
    at timestamp with time zone not null,
    zone jsonb not null,
    constraint zone_change_pkey PRIMARY KEY (zone_id, version)
);

create table zones (
    zone_id text not null,
    tenant_id text not null,
    market_id text not null,
    kind text not null,
    name text not null,
    areas jsonb not null,
    reason text not null,
    until timestamp with time zone,
    version bigint not null,
    change_id text not null,
    created_at timestamp with time zone not null,
    updated_at timestamp with time zone not null,
    ended_at timestamp with time zone,
    constraint zones_pkey PRIMARY KEY (zone_id)
) with (fillfactor=80);

comment on table api_key is 'Keys of integrators; the hint is enough of one to tell it by.';

comment on table authorization_code is 'Codes of the sign-in page. One that comes twice ends the session it was good for.';

comment on table checkpoint is 'The states of living actors, which a new owner starts from.';

comment on table client is 'Apps and integrators; one without a secret is public.';

comment on table couriers is 'Where every courier works, and whether he does.';

comment on table dead_letter is 'Messages whose handling failed, for operations to replay.';

comment on table deliveries is 'The courier''s side of every order as last committed.';

comment on table device is 'What people sign in with.';

comment on table device_act is 'The acts of couriers'' devices and their outcomes; an empty code is one that counted.';

comment on table device_cursor is 'The last message that each device of a person has acknowledged.';

comment on table door is 'Where each node takes requests and sockets, as clients reach it.';

comment on table fact is 'What happened, as long as it is kept; by number in the order of the commits.';

comment on table feed_head is 'The number of the newest message of each person''s feed.';

comment on table feed_message is 'What a person should see, numbered without gaps.';

comment on table finished is 'The last states of finished actors. One that lives again has a checkpoint, which counts.';

comment on table idempotency is 'Requests that were answered, or are being; kept for a day.';

comment on table inbox_floor is 'Below it, everything of a source counts as handled.';

comment on table inbox_mark is 'Outbox rows of other shards that were handled here.';

comment on table lease is 'Which node may own a shard, and until when; without a node it is free since freed_at.';

comment on table market is 'The cities that are run, each in one shard, and how.';

comment on table node is 'The nodes that have joined. Whoever holds the lock of this number is the node''s process.';

comment on table order_note is 'Whose an order is and what was asked for, written before the order is placed.';

comment on table orders is 'Every order as last committed; without a total until it has a price.';

comment on table outbox is 'What a shard has told others and is not yet known to be handled.';

comment on table restaurants is 'Where every restaurant is, and how its tenant wants it run.';

comment on table retention is 'Which of the past is cleared away, by whoever claimed it last, and how far that has come.';

comment on table service_claim is 'Work that a node does, until due_at at most; without a node it waits until then.';

comment on table session is 'One signing in on one device, until it ends. Not a socket''s session.';

comment on table shard_head is 'Who may commit next: the epoch of a shard''s owner, its last batch and the answer to that.';

comment on table shift_start is 'Where a courier is about to start a shift; nobody starts him elsewhere until then.';

comment on table signing_key is 'What access tokens are signed with: published as next, then active, then only believed.';

comment on table tenant is 'A business that runs its deliveries here. Nobody sees another one''s.';

comment on table tracking_link is 'Links by which anybody who has one may follow an order.';

comment on table users is 'People who can sign in: customers, couriers, restaurant staff, staff.';

comment on table zone_change is 'Who made a zone what it was, version by version.';

comment on table zones is 'Land with rules of its own, as tenants draw it; what has ended is kept.';

alter table api_key add constraint api_key_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id);

alter table authorization_code add constraint authorization_code_client_id_fkey FOREIGN KEY (client_id) REFERENCES client(client_id);

alter table authorization_code add constraint authorization_code_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);

alter table client add constraint client_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id);

alter table device add constraint device_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);

alter table market add constraint market_shard_fkey FOREIGN KEY (shard) REFERENCES lease(shard);

alter table session add constraint session_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id);

alter table session add constraint session_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);

alter table users add constraint users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id);

CREATE INDEX api_key_by_tenant ON api_key USING btree (tenant_id, key_id);

CREATE INDEX authorization_code_by_expiry ON authorization_code USING btree (expires_at);

CREATE INDEX client_by_revocation ON client USING btree (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE INDEX client_by_tenant ON client USING btree (tenant_id, client_id);

CREATE INDEX dead_letter_to_replay ON dead_letter USING btree (shard, id) WHERE replay_requested_at IS NOT NULL AND replayed_at IS NULL;

CREATE INDEX deliveries_by_courier ON deliveries USING btree (courier_id, delivery_id);

CREATE INDEX device_act_by_age ON device_act USING brin (at);

CREATE INDEX fact_by_key ON fact USING btree (key, number);

CREATE INDEX fact_by_number ON fact USING btree (number);

CREATE INDEX idempotency_by_age ON idempotency USING brin (created_at);

CREATE INDEX order_note_by_tenant ON order_note USING btree (tenant_id, order_id);

CREATE INDEX orders_by_restaurant ON orders USING btree (restaurant_id, order_id);

CREATE INDEX orders_by_user ON orders USING btree (user_id, order_id);

CREATE UNIQUE INDEX restaurants_by_external_id ON restaurants USING btree (tenant_id, external_id) WHERE ended_at IS NULL;

CREATE INDEX restaurants_by_tenant ON restaurants USING btree (tenant_id, restaurant_id);

CREATE INDEX service_claim_by_age ON service_claim USING btree (due_at);

CREATE INDEX session_by_end ON session USING btree (ended_at) WHERE ended_at IS NOT NULL;

CREATE INDEX session_by_user ON session USING btree (user_id) WHERE ended_at IS NULL;

CREATE UNIQUE INDEX signing_key_active ON signing_key USING btree (state) WHERE state = 'active'::text;

CREATE UNIQUE INDEX signing_key_next ON signing_key USING btree (state) WHERE state = 'next'::text;

CREATE INDEX tracking_link_by_end ON tracking_link USING btree (expires_at);

CREATE INDEX tracking_link_by_order ON tracking_link USING btree (order_id, created_at);

CREATE INDEX users_by_tenant ON users USING btree (tenant_id, user_id);

CREATE INDEX zones_by_tenant ON zones USING btree (tenant_id, market_id, zone_id) WHERE ended_at IS NULL;

create table fact_default partition of fact default;

CREATE OR REPLACE FUNCTION public.instant(ms bigint)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN to_timestamp(((ms)::double precision / (1000.0)::double precision))
;

CREATE OR REPLACE FUNCTION public.make_fact_partitions(months_ahead integer)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.open_shard(p_shard bigint, p_node text, OUT p_epoch bigint, OUT p_batch bigint)
 RETURNS record
 LANGUAGE plpgsql
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.commit_batch(p_shard bigint, p_epoch bigint, p_number bigint, p_digest bytea, p_at bigint, live_kinds text[], live_keys text[], live_states bytea[], done_kinds text[], done_keys text[], done_states bytea[], fact_kinds text[], fact_keys text[], facts bytea[], outbox_sequences bigint[], outbox_kinds text[], outbox_keys text[], outbox_messages bytea[], outbox_targets bigint[], handled bigint[], mark_sources bigint[], mark_sequences bigint[], floor_sources bigint[], floor_sequences bigint[], feed_persons text[], feed_counts bigint[], feed_places integer[], feed_behind bigint[], feed_messages bytea[], letter_kinds text[], letter_keys text[], letter_messages bytea[], letter_errors text[], order_ids text[], order_markets text[], order_users text[], order_restaurants text[], order_couriers text[], order_statuses text[], order_reasons text[], orders_created bigint[], orders_wanted bigint[], orders_ready bigint[], delivery_statuses text[], deliveries_assigned bigint[], deliveries_picked_up bigint[], deliveries_completed bigint[], courier_ids text[], courier_markets text[], courier_stages text[])
 RETURNS bigint[]
 LANGUAGE plpgsql
AS $function$
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
        insert into feed_message (person, number, message, at, epoch)
        select feed_persons[place], heads[place] - behind, message, written_at, p_epoch
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
$function$
;

CREATE OR REPLACE FUNCTION public.node_locks()
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
RETURN 1685024631
;

CREATE OR REPLACE FUNCTION public.lock_era()
 RETURNS text
 LANGUAGE sql
RETURN ((EXTRACT(epoch FROM pg_postmaster_start_time()) || '/'::text) || EXTRACT(epoch FROM pg_stat_get_bgwriter_stat_reset_time()))
;

CREATE OR REPLACE FUNCTION public.held_locks()
 RETURNS integer[]
 LANGUAGE sql
BEGIN ATOMIC
 SELECT COALESCE(array_agg(((pg_locks.objid)::bigint)::integer), '{}'::integer[]) AS "coalesce"
    FROM pg_locks
   WHERE ((pg_locks.locktype = 'advisory'::text) AND pg_locks.granted AND (pg_locks.objsubid = 2) AND (pg_locks.classid = (node_locks())::oid) AND (pg_locks.database = ( SELECT pg_database.oid
            FROM pg_database
           WHERE (pg_database.datname = current_database()))));
END
;

CREATE OR REPLACE FUNCTION public.present_nodes()
 RETURNS text[]
 LANGUAGE sql
BEGIN ATOMIC
 SELECT COALESCE(array_agg(node.node), '{}'::text[]) AS "coalesce"
    FROM node,
     held_locks() held(held),
     lock_era() era(era)
   WHERE ((node.lock_era <> era.era) OR (node.lock_number = ANY (held.held)));
END
;

CREATE OR REPLACE FUNCTION public.living_nodes(p_ttl_s double precision)
 RETURNS text[]
 LANGUAGE sql
BEGIN ATOMIC
 SELECT COALESCE(array_agg(node.node), '{}'::text[]) AS "coalesce"
    FROM node,
     present_nodes() present(present)
   WHERE ((node.node = ANY (present.present)) AND (GREATEST(node.renewed_at, pg_postmaster_start_time()) > (clock_timestamp() - make_interval(secs => living_nodes.p_ttl_s))));
END
;

CREATE OR REPLACE FUNCTION public.lease_ends_at(p_expires_at timestamp with time zone, p_ttl_s double precision)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STRICT
RETURN GREATEST(p_expires_at, (pg_postmaster_start_time() + make_interval(secs => p_ttl_s)))
;

CREATE OR REPLACE FUNCTION public.view_leases(p_ttl_s double precision)
 RETURNS text
 LANGUAGE sql
BEGIN ATOMIC
 SELECT (json_build_object('nodes', ( SELECT COALESCE(json_agg(json_build_object('node', node.node, 'address', node.address, 'version', node.version, 'load', node.load, 'is_alive', (node.node = ANY (living.living)), 'is_leaving', node.is_leaving) ORDER BY (node.node COLLATE "C")), '[]'::json) AS "coalesce"
            FROM node,
             living_nodes(view_leases.p_ttl_s) living(living)), 'leases', ( SELECT COALESCE(json_agg(json_build_object('shard', lease.shard, 'node', lease.node, 'load', lease.load, 'left_s', EXTRACT(epoch FROM (COALESCE(lease_ends_at(lease.expires_at, view_leases.p_ttl_s), lease.freed_at) - clock_timestamp()))) ORDER BY lease.shard), '[]'::json) AS "coalesce"
            FROM lease)))::text AS json_build_object;
END
;

CREATE OR REPLACE FUNCTION public.tell_leases_changed()
 RETURNS void
 LANGUAGE sql
BEGIN ATOMIC
 SELECT pg_notify('lease_changed'::text, ''::text) AS pg_notify;
END
;

CREATE OR REPLACE FUNCTION public.free_leases(p_node text, p_kept bigint[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
    update lease set node = null, expires_at = null, freed_at = clock_timestamp()
    where node = p_node and not shard = any (p_kept);
    if found then
        perform tell_leases_changed();
    end if;
end $function$
;

CREATE OR REPLACE FUNCTION public.join_leases(p_node text, p_address text, p_version text, p_load real, p_is_leaving boolean, p_process text, p_lock_number integer, p_ttl_s double precision, p_forgotten_s double precision)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
begin
    -- The caller holds the lock already, so that the row never speaks of a session that is none.
    insert into node as known (
        node, address, version, load, lock_number, lock_era, process, renewed_at, is_leaving
    ) values (
        p_node, p_address, p_version, p_load, p_lock_number, lock_era(), p_process,
        clock_timestamp(), p_is_leaving
    ) on conflict (node) do update set
        address = excluded.address, version = excluded.version, load = excluded.load,
        lock_number = excluded.lock_number, lock_era = excluded.lock_era,
        process = excluded.process, renewed_at = excluded.renewed_at,
        is_leaving = excluded.is_leaving
    where known.process = excluded.process or known.node <> all (living_nodes(p_ttl_s));
    if not found then
        return false;
    end if;
    delete from node
    where renewed_at < clock_timestamp() - make_interval(secs => p_forgotten_s)
        and not lock_number = any (held_locks());
    perform tell_leases_changed();
    return true;
end $function$
;

CREATE OR REPLACE FUNCTION public.renew_leases(p_node text, p_lock_number integer, p_load real, p_shards bigint[], p_loads real[], p_ttl_s double precision)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
begin
    update node set load = p_load, renewed_at = clock_timestamp(), lock_era = lock_era()
    where node = p_node and lock_number = p_lock_number;
    if not found then
        return null;
    end if;
    update lease
    set expires_at = clock_timestamp() + make_interval(secs => p_ttl_s), load = wanted.load
    from unnest(p_shards, p_loads) as wanted (shard, load)
    where lease.shard = wanted.shard and lease.node = p_node;
    perform free_leases(p_node, p_shards);
    return view_leases(p_ttl_s);
end $function$
;

CREATE OR REPLACE FUNCTION public.claim_lease(p_node text, p_lock_number integer, p_shard bigint, p_ttl_s double precision)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
begin
    -- A claim is a sign of life as good as a renewal.
    update node set renewed_at = clock_timestamp()
    where node = p_node and lock_number = p_lock_number;
    if not found then
        return null;
    end if;
    -- Who is present is asked with the row in hand: whoever had it before has joined by then.
    perform from lease where shard = p_shard for update;
    update lease
    set node = p_node, freed_at = null,
        expires_at = clock_timestamp() + make_interval(secs => p_ttl_s)
    where shard = p_shard and (
        node is null or node = p_node
        or lease_ends_at(expires_at, p_ttl_s) <= clock_timestamp()
        or node <> all (present_nodes())
    );
    if not found then
        return false;
    end if;
    perform tell_leases_changed();
    return true;
end $function$
;

CREATE OR REPLACE FUNCTION public.release_lease(p_node text, p_lock_number integer, p_shard bigint)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
begin
    perform from node where node = p_node and lock_number = p_lock_number for share;
    if not found then
        return null;
    end if;
    update lease set node = null, expires_at = null, freed_at = clock_timestamp()
    where shard = p_shard and node = p_node;
    if found then
        perform tell_leases_changed();
    end if;
    return true;
end $function$
;

CREATE OR REPLACE FUNCTION public.leave_leases(p_node text, p_lock_number integer)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
begin
    perform from node where node = p_node and lock_number = p_lock_number for update;
    if not found then
        return null;
    end if;
    perform free_leases(p_node, '{}');
    delete from node where node = p_node;
    perform tell_leases_changed();
    return true;
end $function$
;

CREATE OR REPLACE FUNCTION public.ensure_leases(p_shards bigint[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
    insert into lease (shard, freed_at)
    select shard, clock_timestamp() from unnest(p_shards) as wanted (shard)
    on conflict (shard) do nothing;
    if found then
        perform tell_leases_changed();
    end if;
end $function$
;

CREATE OR REPLACE FUNCTION public.drop_old_facts(p_before timestamp with time zone, p_lock_ms integer)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
declare
    oldest text;
    highest bigint;
begin
    select one.relname into oldest
    from pg_inherits as held
    join pg_class as one on one.oid = held.inhrelid
    where held.inhparent = 'fact'::regclass
        and one.relname ~ '^fact_[0-9]{4}_[0-9]{2}$'
        and to_date(substr(one.relname, 6), 'YYYY_MM') + interval '1 month'
            <= p_before at time zone 'utc'
    order by one.relname
    limit 1;
    if oldest is null then
        return null;
    end if;
    execute format('select max(number) from %I', oldest) into highest;
    update retention set floor = greatest(floor, highest) where what = 'facts';
    -- The whole journal is locked for as long as a name takes to vanish. Who waits for that lock
    -- keeps all who come after him waiting, so nobody waits for it long.
    perform set_config('lock_timeout', p_lock_ms::text, true);
    execute format('drop table %I', oldest);
    return oldest;
end
$function$
;
