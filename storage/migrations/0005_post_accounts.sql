-- Tenants and who belongs to them: people, their devices and sessions, integrators and their keys.
-- Secrets are kept as digests, or sealed under a key that the database does not know.

create table tenant (
    tenant_id text primary key,
    name text not null,
    created_at timestamptz not null default clock_timestamp()
);

comment on table tenant is 'A business that runs its deliveries here. Nobody sees another one''s.';

create table users (
    user_id text primary key,
    tenant_id text not null references tenant,
    role text not null,
    email text not null,
    name text not null,
    phone text not null default '',
    address text not null default '',
    password_hash text not null default '',
    courier_id text unique,
    restaurant_ids text[] not null default '{}',
    totp_sealed bytea,
    totp_confirmed boolean not null default false,
    totp_step bigint not null default 0,
    recovery_digests bytea[] not null default '{}',
    is_blocked boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    unique (tenant_id, email)
);

comment on table users is 'People who can sign in: customers, couriers, restaurant staff, staff.';
comment on column users.password_hash is 'argon2id; empty for who cannot sign in by a password.';
comment on column users.totp_step is 'The last time step whose code was taken: a code is good once.';
create index users_by_tenant on users (tenant_id, user_id);

create table client (
    client_id text primary key,
    tenant_id text not null references tenant,
    name text not null,
    secret_digest bytea,
    redirect_uris text[] not null default '{}',
    scopes text[] not null default '{}',
    created_at timestamptz not null default clock_timestamp(),
    revoked_at timestamptz
);

comment on table client is 'Apps and integrators; one without a secret is public.';
create index client_by_tenant on client (tenant_id, client_id);
create index client_by_revocation on client (revoked_at) where revoked_at is not null;

create table api_key (
    key_id text primary key,
    tenant_id text not null references tenant,
    name text not null,
    digest bytea not null unique,
    hint text not null,
    scopes text[] not null,
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    revoked_at timestamptz
);

comment on table api_key is 'Keys of integrators; the hint is enough of one to tell it by.';
create index api_key_by_tenant on api_key (tenant_id, key_id);

create table device (
    user_id text not null references users,
    device_id text not null,
    name text not null default '',
    created_at timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp(),
    primary key (user_id, device_id)
) with (fillfactor = 80);

comment on table device is 'What people sign in with.';

create table session (
    session_id text primary key,
    tenant_id text not null references tenant,
    user_id text not null references users,
    device_id text not null,
    client_id text not null,
    scopes text[] not null,
    family_digest bytea not null,
    refresh_digest bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    refreshed_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    end_reason text not null default ''
) with (fillfactor = 70);

comment on table session is 'One signing in on one device, until it ends. Not a socket''s session.';
comment on column session.family_digest is
    'Of the part that all refresh tokens of the session share: who has it had one of them.';
comment on column session.refresh_digest is 'Of the one refresh token that is good now.';
create index session_by_user on session (user_id) where ended_at is null;
create index session_by_end on session (ended_at) where ended_at is not null;

create table authorization_code (
    digest bytea primary key,
    client_id text not null references client,
    user_id text not null references users,
    redirect_uri text not null,
    challenge text not null,
    scopes text[] not null,
    expires_at timestamptz not null,
    session_id text
);

comment on table authorization_code is
    'Codes of the sign-in page. One that comes twice ends the session it was good for.';
create index authorization_code_by_expiry on authorization_code (expires_at);

create table signing_key (
    kid text primary key,
    state text not null check (state in ('next', 'active', 'retiring', 'gone')),
    public_key bytea not null,
    sealed bytea not null,
    since timestamptz not null default clock_timestamp()
);

comment on table signing_key is
    'What access tokens are signed with: published as next, then active, then only believed.';
comment on column signing_key.since is 'When the key came into its state.';
create unique index signing_key_active on signing_key (state) where state = 'active';
create unique index signing_key_next on signing_key (state) where state = 'next';
