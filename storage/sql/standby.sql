-- A primary and its standby: whether the one waits for the other, and how the other takes its place.

-- name: wait_for_standby
alter system set synchronous_standby_names = 'FIRST 1 (dispatch_standby)'

-- name: read_settings_again
select pg_reload_conf()

-- name: count_waited_for
select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')

-- name: prove_primary
-- A server may be told that nobody waits for the standby; whoever connects here does.
select
    set_config(
        'synchronous_commit',
        case
            when current_setting('synchronous_commit') in ('off', 'local') then 'on'
            else current_setting('synchronous_commit')
        end,
        false
    ),
    pg_logical_emit_message(true, 'dispatch', '')
where current_setting('synchronous_standby_names') <> ''

-- name: promote
select pg_promote(false)

-- name: is_standby
select pg_is_in_recovery()
