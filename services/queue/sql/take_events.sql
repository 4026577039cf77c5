-- Take the oldest events that no other relay has in hand, until the transaction ends.
-- $1 at most so many, $2 at most so many bytes (but at least one event).
-- Index: outbox_pkey, jobs_pkey.
WITH taken AS MATERIALIZED (
  SELECT o.id, o.job_id, o.seq, o.kind, o.attempt, o.occurred_at, o.body, o.content
    FROM queue.outbox o ORDER BY o.id LIMIT $1 FOR UPDATE SKIP LOCKED
), measured AS (
  SELECT t.*, sum(octet_length(t.body) + coalesce(octet_length(t.content), 0))
                OVER (ORDER BY t.id) AS bytes, row_number() OVER (ORDER BY t.id) AS nth
    FROM taken t
)
SELECT m.id, m.job_id, m.seq, m.kind, m.attempt, m.occurred_at, m.body, m.content,
       coalesce(j.traceparent, '') AS traceparent
  FROM measured m LEFT JOIN queue.jobs j ON j.id = m.job_id
 WHERE m.bytes <= $2::bigint OR m.nth = 1
 ORDER BY m.id
