-- A request that comes again under its key is answered as it was the first time, its headers too.

alter table idempotency add column headers jsonb;

comment on column idempotency.headers is 'What the answer said of itself: where its object is, and in which state; null if it said nothing.';
