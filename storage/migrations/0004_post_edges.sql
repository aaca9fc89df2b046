-- Claims that are taken over keep the instant they were first made at, of which ids are made; and
-- where the nodes take requests and sockets.

alter table idempotency add column claimed_at timestamptz not null default '-infinity';

comment on column idempotency.created_at is 'When the key came first; what is done for it is named by this.';
comment on column idempotency.claimed_at is 'Since when somebody serves the request.';

create table door (
    node text not null primary key,
    address text not null,
    opened_at timestamptz not null
) with (fillfactor = 70);

comment on table door is 'Where each node takes requests and sockets, as clients reach it.';
