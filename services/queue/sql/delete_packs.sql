-- Delete packs of events that observability has.
-- $1 outbox ids. Index: outbox_pkey.
DELETE FROM queue.outbox WHERE id = ANY($1::bigint[])
