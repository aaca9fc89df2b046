-- Devices, the sessions of people on them, and the codes of the sign-in page.

-- name: end_session_of_device
update session set ended_at = clock_timestamp(), end_reason = 'replaced'
where user_id = $1 and device_id = $2 and ended_at is null
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: see_device
insert into device as kept (user_id, device_id, name) values ($1, $2, $3)
on conflict (user_id, device_id) do update set
    seen_at = clock_timestamp(),
    name = case when excluded.name = '' then kept.name else excluded.name end

-- name: end_sessions_of_surplus_devices
update session set ended_at = clock_timestamp(), end_reason = 'device forgotten'
where user_id = $1 and ended_at is null and device_id in (
    select device_id from device where user_id = $1
    order by seen_at desc, device_id desc offset $2
)
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: forget_surplus_devices
delete from device where user_id = $1 and device_id in (
    select device_id from device where user_id = $1
    order by seen_at desc, device_id desc offset $2
)

-- name: create_session
insert into session (
    session_id, tenant_id, user_id, device_id, client_id, scopes, family_digest, refresh_digest,
    expires_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + make_interval(secs => $9))

-- name: rotate
update session set
    refresh_digest = $4,
    refreshed_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => $5)
where session_id = $1 and family_digest = $2 and refresh_digest = $3
    and ended_at is null and expires_at > clock_timestamp()
    and created_at > clock_timestamp() - make_interval(secs => $6)
returning
    session_id, tenant_id, user_id, device_id, client_id, scopes, family_digest, refresh_digest

-- name: end_replayed
update session set ended_at = clock_timestamp(), end_reason = 'token replayed'
where session_id = $1 and family_digest = $2 and refresh_digest <> $3 and ended_at is null
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: note_device_seen
update device set seen_at = clock_timestamp() where user_id = $1 and device_id = $2

-- name: end_session
update session set ended_at = clock_timestamp(), end_reason = $2
where session_id = $1 and ended_at is null
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: end_session_of_token
update session set ended_at = clock_timestamp(), end_reason = 'signed out'
where session_id = $1 and family_digest = $2 and ended_at is null
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: end_sessions
update session set ended_at = clock_timestamp(), end_reason = $3
where user_id = $1 and session_id <> $2 and ended_at is null
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: end_sessions_of_device
update session set ended_at = clock_timestamp(), end_reason = 'device forgotten'
where user_id = $1 and device_id = $2 and ended_at is null
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: fetch_ended
select session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at from session
where ended_at > clock_timestamp() - make_interval(secs => $1)
union all
select client_id, (extract(epoch from revoked_at) * 1000)::bigint from client
where revoked_at > clock_timestamp() - make_interval(secs => $1)
order by 2 desc
limit $2

-- name: has_device
select exists (select from device where user_id = $1 and device_id = $2)

-- name: fetch_devices
select
    device_id, name,
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from seen_at) * 1000)::bigint as seen_at,
    exists (
        select from session
        where session.user_id = device.user_id and session.device_id = device.device_id
            and session.ended_at is null and session.expires_at > clock_timestamp()
    ) as is_signed_in
from device
where user_id = $1
order by seen_at desc, device_id
limit $2

-- name: name_device
update device set name = $3 where user_id = $1 and device_id = $2

-- name: forget_device
delete from device where user_id = $1 and device_id = $2

-- name: keep_code
insert into authorization_code (
    digest, client_id, user_id, redirect_uri, challenge, scopes, expires_at
) values ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))

-- name: forget_old_codes
delete from authorization_code where expires_at < clock_timestamp() - interval '1 day'

-- name: take_code
update authorization_code set session_id = $2
where digest = $1 and session_id is null and expires_at > clock_timestamp()
returning digest, client_id, user_id, redirect_uri, challenge, scopes

-- name: end_session_of_code
update session set ended_at = clock_timestamp(), end_reason = 'code used twice'
where ended_at is null
    and session_id = (select kept.session_id from authorization_code as kept where digest = $1)
returning session_id, (extract(epoch from ended_at) * 1000)::bigint as ended_at

-- name: forget_old_sessions
delete from session
where session_id in (
    select session_id from session
    where ended_at < clock_timestamp() - interval '30 days'
    limit 1000
)
