-- Reads events of one job, in order.
-- $1 job_id, $2 after this seq, $3 up to this seq, $4 at most so many.
-- Served by: primary key of events.
SELECT job_id, seq, attempt, occurred_at, kind, details::text AS details, trace_id, body
FROM observability.events
WHERE job_id = $1 AND seq > $2 AND seq <= $3
ORDER BY seq
LIMIT $4
