-- Offers, as their actors committed them last, found by the courier whom they are for.

-- name: find_courier
select courier.shard, courier.market_id, kept.state
from couriers as courier
join checkpoint as kept
    on kept.shard = courier.shard and kept.kind = 'courier' and kept.key = courier.courier_id
where courier.courier_id = $1

-- name: find_live
select state from checkpoint where shard = $1 and kind = 'offer' and key = $2

-- name: find_ended
select state from finished where shard = $1 and kind = 'offer' and key = $2
