-- The record of the schema's history, and what the snapshot of the schema is made from.

-- name: lift_limits
set statement_timeout = 0; set transaction_timeout = 0; set lock_timeout = '60s'

-- name: lock_schema
select pg_advisory_lock(hashtext('dispatch.migration'))

-- name: create_migration
create table if not exists migration (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
)

-- name: has_migrations
select to_regclass('migration') is not null

-- name: fetch_migrations
select number, name, checksum from migration order by number

-- name: add_migration
insert into migration (number, name, checksum) values ($1, $2, $3)
