-- What an audit reads: everything that was committed, in the order of the commits.

-- name: fetch_heads
select shard, epoch, batch from shard_head

-- name: fetch_facts
select number, kind, key, fact from fact where number > $1 order by number limit $2

-- name: fetch_feeds
select person, number, message from feed_message where (person, number) > ($1, $2)
order by person, number limit $3

-- name: fetch_unfinished
select order_id, status, delivery_status from orders
where status not in ('completed', 'rejected', 'canceled') order by order_id

-- name: count_outbox
select count(*) from outbox where kind not like 'service:%'

-- name: fetch_letters
select kind, key, error from dead_letter order by id limit $1

-- name: fetch_owners
select shard, node from lease where node is not null and expires_at > clock_timestamp()
