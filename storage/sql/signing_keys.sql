-- The keys that sign access tokens: at most one is active, and at most one is to be next.

-- name: fetch_all
select
    kid, state, public_key, sealed,
    extract(epoch from clock_timestamp() - since)::float8 as age_s
from signing_key where state <> 'gone'
order by since, kid

-- name: create
insert into signing_key (kid, state, public_key, sealed) values ($1, $2, $3, $4)
on conflict do nothing

-- name: retire
update signing_key set state = 'retiring', sealed = '', since = clock_timestamp()
where kid = $1 and state = 'active'

-- name: activate
update signing_key set state = 'active', since = clock_timestamp()
where kid = $1 and state = 'next'
    and not exists (select from signing_key where state = 'active')

-- name: drop
update signing_key set state = 'gone', sealed = '', since = clock_timestamp()
where kid = $1 and state = 'retiring'

-- name: discard_next
update signing_key set state = 'gone', sealed = '', since = clock_timestamp()
where kid = $1 and state = 'next'
