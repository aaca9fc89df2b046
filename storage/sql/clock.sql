-- The clock that all nodes of a cluster go by.

-- name: now_ms
select floor(extract(epoch from clock_timestamp()) * 1000)::bigint
