-- Who owns which shard, and the markets that the shards come from.
-- All time is the server's own, and none of it is that of a transaction's start.

create sequence node_lock as integer cycle;
comment on sequence node_lock is
    'The numbers of the advisory locks by which sessions are seen to live, one for each session.';

create table node (
    node text primary key,
    address text not null,
    version text not null,
    load real not null default 0,
    lock_number integer not null unique,
    lock_era text not null,
    process text not null,
    renewed_at timestamptz not null,
    is_leaving boolean not null default false
) with (fillfactor = 20);
comment on table node is
    'The nodes that have joined. Whoever holds the lock of this number is the node''s process.';

create table lease (
    shard bigint primary key,
    node text,
    expires_at timestamptz,
    load real not null default 0,
    freed_at timestamptz,
    check ((node is null) = (expires_at is null)),
    check ((node is null) <> (freed_at is null))
) with (fillfactor = 20);
comment on table lease is
    'Which node may own a shard, and until when; without a node it is free since freed_at.';

create table market (
    market_id text primary key,
    shard bigint not null unique references lease (shard),
    cells bigint[] not null,
    settings bytea not null
);
comment on table market is 'The cities that are run, each in one shard, and how.';

create function node_locks() returns integer language sql immutable
return 1685024631;
comment on function node_locks is
    'The first key of all locks of nodes, so that no other use of advisory locks meets them.';

create function lock_era() returns text language sql
return extract(epoch from pg_postmaster_start_time()) || '/'
    || extract(epoch from pg_stat_get_bgwriter_stat_reset_time());
comment on function lock_era is
    'Another one after every loss of all locks: a restart, a crash, a change to another server.
A node that joined in an earlier era is not dead for having no lock; it may not know yet.';

create function held_locks() returns integer[] language sql
begin atomic
    select coalesce(array_agg(objid::bigint::integer), '{}')
    from pg_locks
    where locktype = 'advisory' and granted and objsubid = 2
        and classid = node_locks()::oid
        and database = (select oid from pg_database where datname = current_database());
end;
comment on function held_locks is 'The numbers of the sessions of nodes that exist now.';

create function present_nodes() returns text[] language sql
begin atomic
    select coalesce(array_agg(node), '{}')
    from node, held_locks() as held, lock_era() as era
    where lock_era <> era or lock_number = any (held);
end;
comment on function present_nodes is 'The nodes whose session exists, for all that is known.';

create function living_nodes(p_ttl_s double precision) returns text[] language sql
begin atomic
    select coalesce(array_agg(node), '{}')
    from node, present_nodes() as present
    where node = any (present)
        and greatest(renewed_at, pg_postmaster_start_time())
            > clock_timestamp() - make_interval(secs => p_ttl_s);
end;
comment on function living_nodes is
    'The nodes that are present and renewed lately. Time that the server was down for counts for no
one, or the first node to come back would find all others dead.';

create function lease_ends_at(p_expires_at timestamptz, p_ttl_s double precision)
returns timestamptz language sql strict
return greatest(p_expires_at, pg_postmaster_start_time() + make_interval(secs => p_ttl_s));
comment on function lease_ends_at is
    'When a lease is over: not before its owner had time to renew it after a start of the server.';

create function view_leases(p_ttl_s double precision) returns text language sql
begin atomic
    select json_build_object(
        'nodes', (
            select coalesce(json_agg(json_build_object(
                'node', node, 'address', address, 'version', version, 'load', load,
                'is_alive', node = any (living), 'is_leaving', is_leaving
            ) order by node collate "C"), '[]')
            from node, living_nodes(p_ttl_s) as living
        ),
        'leases', (
            select coalesce(json_agg(json_build_object(
                'shard', shard, 'node', node, 'load', load,
                'left_s', extract(epoch from
                    coalesce(lease_ends_at(expires_at, p_ttl_s), freed_at) - clock_timestamp())
            ) order by shard), '[]')
            from lease
        )
    )::text;
end;
comment on function view_leases is 'All nodes and all leases as they stand.';

create function tell_leases_changed() returns void language sql
begin atomic
    select pg_notify('lease_changed', '');
end;

create function free_leases(p_node text, p_kept bigint[]) returns void language plpgsql as $$
begin
    update lease set node = null, expires_at = null, freed_at = clock_timestamp()
    where node = p_node and not shard = any (p_kept);
    if found then
        perform tell_leases_changed();
    end if;
end $$;
comment on function free_leases is 'Let go of all leases of a node but these.';

create function join_leases(
    p_node text, p_address text, p_version text, p_load real, p_is_leaving boolean,
    p_process text, p_lock_number integer, p_ttl_s double precision, p_forgotten_s double precision
) returns boolean language plpgsql as $$
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
end $$;
comment on function join_leases is
    'Make a node known; false when a living process has its name already.';

create function renew_leases(
    p_node text, p_lock_number integer, p_load real, p_shards bigint[], p_loads real[],
    p_ttl_s double precision
) returns text language plpgsql as $$
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
end $$;
comment on function renew_leases is
    'Let the node''s leases of these shards run on, let go of its others, and return the view.
Null when the session is not the node''s any more: what an older one sends late changes nothing.';

create function claim_lease(
    p_node text, p_lock_number integer, p_shard bigint, p_ttl_s double precision
) returns boolean language plpgsql as $$
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
end $$;
comment on function claim_lease is
    'Take a lease that is free, over, or of a node whose session has ended. A lease that runs is not
had from a node that is merely silent: it may act until then. Null as for renew_leases.';

create function release_lease(p_node text, p_lock_number integer, p_shard bigint)
returns boolean language plpgsql as $$
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
end $$;
comment on function release_lease is
    'Let go of a lease, if it is the node''s. Null as for renew_leases.';

create function leave_leases(p_node text, p_lock_number integer)
returns boolean language plpgsql as $$
begin
    perform from node where node = p_node and lock_number = p_lock_number for update;
    if not found then
        return null;
    end if;
    perform free_leases(p_node, '{}');
    delete from node where node = p_node;
    perform tell_leases_changed();
    return true;
end $$;
comment on function leave_leases is
    'Let go of all leases and take the node off the list. Null as for renew_leases.';

create function ensure_leases(p_shards bigint[]) returns void language plpgsql as $$
begin
    insert into lease (shard, freed_at)
    select shard, clock_timestamp() from unnest(p_shards) as wanted (shard)
    on conflict (shard) do nothing;
    if found then
        perform tell_leases_changed();
    end if;
end $$;
comment on function ensure_leases is 'Have these shards exist, free if they are new.';
