-- Who does which piece of service work, and what came of dead letters that were replayed.

create table service_claim (
    shard bigint not null,
    sequence bigint not null,
    attempts integer not null,
    node text,
    due_at timestamptz not null,
    last_error text not null default '',
    primary key (shard, sequence)
) with (fillfactor = 70);
comment on table service_claim is
    'Work that a node does, until due_at at most; without a node it waits until then.';
create index service_claim_by_age on service_claim (due_at);

alter table dead_letter add column replay_outcome text;
