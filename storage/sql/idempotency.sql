-- Requests that are answered once, by the key that their sender gave them.

-- name: claim
insert into idempotency as kept (scope, key, request_digest, created_at, claimed_at)
values ($1, $2, $3, clock_timestamp(), clock_timestamp())
on conflict (scope, key) do update set
    request_digest = excluded.request_digest,
    status = null,
    body = null,
    headers = null,
    created_at = case
        when kept.created_at < clock_timestamp() - make_interval(secs => $4)
            then excluded.created_at
        else kept.created_at
    end,
    claimed_at = excluded.claimed_at
where kept.created_at < clock_timestamp() - make_interval(secs => $4)
    or (
        kept.status is null
        and kept.request_digest = excluded.request_digest
        and kept.claimed_at < clock_timestamp() - make_interval(secs => $5)
    )
returning (extract(epoch from created_at) * 1000)::bigint as began_at, xmax = 0 as is_first

-- name: find_answer
select request_digest, status, body, headers from idempotency where scope = $1 and key = $2

-- name: finish
update idempotency set status = $4, body = $5, headers = $6
where scope = $1 and key = $2 and request_digest = $3 and status is null

-- name: yield
update idempotency set claimed_at = '-infinity'
where scope = $1 and key = $2 and request_digest = $3 and status is null

-- name: release
delete from idempotency
where scope = $1 and key = $2 and request_digest = $3 and status is null

-- name: forget_old
delete from idempotency where created_at < clock_timestamp() - make_interval(secs => $1)
