-- Tenants, their people, and the clients and keys of integrators. Each query names the tenant.

-- name: create_tenant
insert into tenant (tenant_id, name) values ($1, $2) on conflict (tenant_id) do nothing

-- name: has_tenant
select exists (select from tenant where tenant_id = $1)

-- name: create_user
insert into users (
    user_id, tenant_id, role, email, name, phone, address, password_hash, courier_id,
    restaurant_ids, totp_sealed, totp_confirmed
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing

-- name: find_user
select
    user_id, tenant_id, role, email, name, phone, address, password_hash, courier_id,
    restaurant_ids, totp_sealed, totp_confirmed, totp_step, recovery_digests, is_blocked,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from users where tenant_id = $1 and user_id = $2

-- name: find_user_by_email
select
    user_id, tenant_id, role, email, name, phone, address, password_hash, courier_id,
    restaurant_ids, totp_sealed, totp_confirmed, totp_step, recovery_digests, is_blocked,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from users where tenant_id = $1 and email = $2

-- name: fetch_users
select
    user_id, tenant_id, role, email, name, phone, address, password_hash, courier_id,
    restaurant_ids, totp_sealed, totp_confirmed, totp_step, recovery_digests, is_blocked,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from users
where tenant_id = $1 and user_id > $2 and ($4::text is null or role = $4)
order by user_id
limit $3

-- name: save_user
update users set
    name = $3, phone = $4, address = $5, restaurant_ids = $6, is_blocked = $7
where tenant_id = $1 and user_id = $2

-- name: save_password
update users set password_hash = $3 where user_id = $1 and password_hash = $2

-- name: save_totp
update users set
    totp_sealed = $2, totp_confirmed = $3, totp_step = $4, recovery_digests = $5
where user_id = $1

-- name: take_totp_step
update users set totp_step = $2 where user_id = $1 and totp_step < $2

-- name: take_recovery_digest
update users set recovery_digests = array_remove(recovery_digests, $2)
where user_id = $1 and $2 = any (recovery_digests)

-- name: create_client
insert into client (client_id, tenant_id, name, secret_digest, redirect_uris, scopes)
values ($1, $2, $3, $4, $5, $6)
on conflict (client_id) do nothing

-- name: find_client
select
    client_id, tenant_id, name, secret_digest, redirect_uris, scopes,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from client where client_id = $1 and revoked_at is null

-- name: fetch_clients
select
    client_id, tenant_id, name, secret_digest, redirect_uris, scopes,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from client
where tenant_id = $1 and client_id > $2 and revoked_at is null
order by client_id
limit $3

-- name: revoke_client
update client set revoked_at = clock_timestamp()
where tenant_id = $1 and client_id = $2 and revoked_at is null

-- name: create_api_key
insert into api_key (key_id, tenant_id, name, digest, hint, scopes, created_by)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: find_api_key
select
    key_id, tenant_id, name, digest, hint, scopes, created_by,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from api_key where digest = $1 and revoked_at is null

-- name: fetch_api_keys
select
    key_id, tenant_id, name, digest, hint, scopes, created_by,
    (extract(epoch from created_at) * 1000)::bigint as created_at
from api_key
where tenant_id = $1 and key_id > $2 and revoked_at is null
order by key_id
limit $3

-- name: revoke_api_key
update api_key set revoked_at = clock_timestamp()
where tenant_id = $1 and key_id = $2 and revoked_at is null
