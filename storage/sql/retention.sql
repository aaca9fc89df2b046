-- What is cleared away of the past, a little at a time.

-- name: claim
insert into retention as kept (what, claimed_at) values ($1, clock_timestamp())
on conflict (what) do update set claimed_at = clock_timestamp()
    where kept.claimed_at < clock_timestamp() - make_interval(secs => $2)
returning position

-- name: clear_feeds
with page as materialized (
    select person from feed_head where person > $1 order by person limit $3
),
old as materialized (
    select page.person, count(*) as count, max(first.number) as number
    from page
    cross join lateral (
        select at from feed_message where person = page.person order by number limit 1
    ) as oldest
    cross join lateral (
        select number, at from feed_message where person = page.person order by number limit $4
    ) as first
    where oldest.at < clock_timestamp() - make_interval(days => $2)
        and first.at < clock_timestamp() - make_interval(days => $2)
    group by page.person
),
gone as (
    delete from feed_message as message using old
    where message.person = old.person and message.number <= old.number
    returning 1
),
further as (
    select case when (select bool_or(count >= $4) from old) then $1
        else coalesce((select max(person) from page), '') end as position
)
update retention set position = further.position
from further
where what = 'feeds'
returning further.position as position, (select count(*) from gone) as count,
    not exists (select from page) as is_over

-- name: drop_month
select drop_old_facts(clock_timestamp() - make_interval(days => $1), $2)

-- name: clear_stray_facts
with gone as (
    delete from fact_default where ctid = any (array(
        select ctid from fact_default
        where at < clock_timestamp() - make_interval(days => $1)
        limit $2
    ))
    returning number
),
highest as (select count(*) as count, max(number) as number from gone)
update retention set floor = greatest(floor, highest.number)
from highest
where what = 'facts'
returning highest.count
