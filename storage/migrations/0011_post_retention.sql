-- Restaurants are known by an id of their tenant's own, and can end; and what is kept of the past
-- ends where an operator says so.

alter table restaurants
    add column external_id text,
    add column ended_at timestamptz;
comment on column restaurants.external_id is
    'The id that its tenant gave it; free again once the restaurant has ended.';
comment on column restaurants.ended_at is 'When it closed for good; its history stays.';
create unique index restaurants_by_external_id on restaurants (tenant_id, external_id)
    where ended_at is null;

comment on table fact is
    'What happened, as long as it is kept; by number in the order of the commits.';

create table retention (
    what text primary key,
    claimed_at timestamptz not null,
    position text not null default '',
    floor bigint not null default 0
) with (fillfactor = 50);
comment on table retention is
    'Which of the past is cleared away, by whoever claimed it last, and how far that has come.';
comment on column retention.position is 'The person whose feed was cleared last.';
comment on column retention.floor is 'The highest number of a fact that is gone.';

create function drop_old_facts(p_before timestamptz, p_lock_ms integer) returns text
language plpgsql as $$
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
$$;
comment on function drop_old_facts is
    'Drops the oldest month of facts if it ended before then, and returns its name, or null.';
