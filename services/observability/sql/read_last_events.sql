-- Reads a job's last events of one kind, last first.
-- $1 job_id, $2 kind, $3 up to this seq, $4 at most so many.
-- Served by: primary key of events.
SELECT job_id, seq, attempt, occurred_at, kind, details::text AS details, trace_id, body
FROM observability.events
WHERE job_id = $1 AND kind = $2 AND seq <= $3
ORDER BY seq DESC
LIMIT $4
