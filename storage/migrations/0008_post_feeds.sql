-- Feed messages keep the epoch they were committed under, so that a device can tell an old owner's
-- word from a new one's; devices keep how far they have come; and orders can be tracked by a link.

alter table feed_message add column epoch bigint not null default 0;
comment on column feed_message.epoch is 'The epoch of the shard that committed it.';

-- `commit_batch` writes the epoch too. It is changed where it differs and not said again, whatever
-- else it writes by now.
do $$
declare
    before constant text := pg_get_functiondef('commit_batch'::regproc);
    altered text := before;
begin
    altered := replace(
        altered,
        'insert into feed_message (person, number, message, at)',
        'insert into feed_message (person, number, message, at, epoch)'
    );
    altered := replace(
        altered,
        'heads[place] - behind, message, written_at',
        'heads[place] - behind, message, written_at, p_epoch'
    );
    if length(altered) <> length(before) + length(', epoch') + length(', p_epoch') then
        raise exception 'commit_batch does not write feed messages as it did';
    end if;
    execute altered;
end
$$;

create table device_cursor (
    person text not null,
    device_id text not null,
    message_id bigint not null,
    updated_at timestamptz not null,
    primary key (person, device_id)
) with (
    fillfactor = 50,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0.02
);
comment on table device_cursor is 'The last message that each device of a person has acknowledged.';

create table tracking_link (
    token_digest bytea primary key,
    order_id text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
comment on table tracking_link is 'Links by which anybody who has one may follow an order.';
create index tracking_link_by_order on tracking_link (order_id, created_at);
create index tracking_link_by_end on tracking_link (expires_at);
