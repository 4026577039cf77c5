-- Take the oldest packs of events that no other relay has in hand, until the transaction ends.
-- $1 at most so many events, $2 at most so many bytes (but at least one pack).
-- No more rows are locked than are likely to be taken: what is locked and left would be overtaken by
-- what another relay takes meanwhile, and come to observability behind a gap.
-- Index: outbox_pkey.
WITH taken AS MATERIALIZED (
  SELECT o.id, o.job_id, o.first_seq, o.events, o.body
    FROM queue.outbox o ORDER BY o.id LIMIT least($1, 256) FOR UPDATE SKIP LOCKED
), measured AS (
  SELECT t.*, sum(t.events) OVER w AS total, sum(octet_length(t.body)) OVER w AS bytes,
         row_number() OVER w AS nth
    FROM taken t
  WINDOW w AS (ORDER BY t.id)
)
SELECT m.id, m.job_id, m.first_seq, m.events, m.body
  FROM measured m
 WHERE (m.total <= $1::bigint AND m.bytes <= $2::bigint) OR m.nth = 1
 ORDER BY m.id
