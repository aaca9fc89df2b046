-- What a server says of itself to whoever looks whether it will do.

-- name: fetch_health
select
    current_setting('server_version_num')::integer,
    pg_is_in_recovery(),
    floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
    current_setting('fsync') = 'on'
        and current_setting('full_page_writes') = 'on'
        and current_setting('synchronous_commit') <> 'off',
    current_setting('max_connections')::integer,
    current_setting('synchronous_standby_names') <> ''
