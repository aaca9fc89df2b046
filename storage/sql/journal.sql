-- What a shard asks of its journal. All writing is done by `commit_batch` (see the migrations).

-- name: open_shard
select p_epoch, p_batch from open_shard($1, $2)

-- name: find_head
select epoch, batch from shard_head where shard = $1

-- name: commit_batch
select commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38,
    $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50
)

-- name: make_partitions
select make_fact_partitions(2)

-- name: fetch_checkpoints
select kind, key, state from checkpoint where shard = $1

-- name: fetch_outbox
select sequence, kind, key, message, target from outbox where shard = $1 order by sequence

-- name: fetch_marks
select source, sequence from inbox_mark where shard = $1

-- name: fetch_floors
select source, sequence from inbox_floor where shard = $1

-- name: fetch_states
select coalesce(living.state, ended.state)
from unnest($2::text[], $3::text[]) with ordinality as wanted (kind, key, place)
left join checkpoint as living
    on living.shard = $1 and living.kind = wanted.kind and living.key = wanted.key
left join finished as ended
    on ended.shard = $1 and ended.kind = wanted.kind and ended.key = wanted.key
order by wanted.place

-- name: fetch_history
select fact from fact where kind = $1 and key = $2 order by number

-- name: fetch_feed
select number, message from feed_message where person = $1 and number > $2 order by number limit $3

-- name: fetch_entries
select number, epoch, message from feed_message
where person = $1 and number > $2
order by number limit $3

-- name: fetch_feeds
select wanted.place, said.number, said.epoch, said.message
from unnest($1::text[], $2::bigint[]) with ordinality as wanted (person, after, place)
cross join lateral (
    select number, epoch, message from feed_message
    where person = wanted.person and number > wanted.after
    order by number limit $3
) as said
order by wanted.place, said.number

-- name: fetch_feed_heads
select person, number from feed_head where person = any($1::text[])

-- name: fetch_dead_letters
select kind, key, message, error from dead_letter order by id limit $1
