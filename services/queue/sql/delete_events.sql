-- Delete events that observability has; keep aside those that it could not take as they are.
-- $1 outbox ids, $2 rejected outbox ids, $3 why (side by side with $2), $4 now. Index: outbox_pkey.
WITH gone AS (
  DELETE FROM queue.outbox o WHERE o.id = ANY($1::bigint[])
  RETURNING o.id, o.job_id, o.seq, o.kind, o.body
)
INSERT INTO queue.rejected_events (id, job_id, seq, kind, body, why, rejected_at)
SELECT g.id, g.job_id, g.seq, g.kind, g.body, r.why, $4
  FROM unnest($2::bigint[], $3::text[]) AS r(id, why) JOIN gone g USING (id)
