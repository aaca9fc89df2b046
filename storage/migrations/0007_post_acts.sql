-- What couriers did, as their devices numbered it, and what came of it: each act counts once.

create table device_act (
    courier_id text not null,
    device_id text not null,
    counter bigint not null,
    acted_at timestamptz not null,
    action text not null,
    code text not null default '',
    detail text not null default '',
    at timestamptz not null,
    primary key (courier_id, device_id, counter)
);

comment on table device_act is
    'The acts of couriers'' devices and their outcomes; an empty code is one that counted.';
comment on column device_act.acted_at is 'When it was done, by the clock of the device.';

create index device_act_by_age on device_act using brin (at);
