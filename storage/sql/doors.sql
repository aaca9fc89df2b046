-- Where the nodes take requests and sockets.

-- name: open
insert into door (node, address, opened_at) values ($1, $2, clock_timestamp())
on conflict (node) do update set address = excluded.address, opened_at = excluded.opened_at

-- name: close
delete from door where node = $1

-- name: fetch_all
select node, address from door order by opened_at desc limit $1

-- name: forget_old
delete from door
where opened_at < clock_timestamp() - make_interval(secs => $1)
    and not exists (select from node where node.node = door.node)
