-- The markets. A market's shard exists from the moment that the market does.

-- name: save
with ensured as materialized (select ensure_leases(array[$2::bigint]))
insert into market (market_id, shard, cells, settings)
select $1, $2, $3, $4 from ensured
on conflict (market_id) do update set cells = excluded.cells, settings = excluded.settings

-- name: fetch_all
select market_id, shard, cells, settings from market order by market_id
