-- What places' surges committed last, and how they came to it.

-- name: fetch
select key, state from checkpoint where shard = $1 and kind = 'surge' and key = any ($2)

-- name: fetch_changes
select number, fact
from fact
where kind = 'surge' and key = $1 and number < $2
order by number desc
limit $3
