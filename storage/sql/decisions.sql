-- What rounds decided about orders: facts filed under the order, though rounds record them.

-- name: fetch_of_order
select number, fact
from fact
where kind = 'decision' and key = $1 and number > $2
order by number
limit $3
