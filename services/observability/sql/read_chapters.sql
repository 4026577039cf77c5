-- Reads the chapters with events of one job, in order, until they hold enough.
-- $1 job_id, $2 after this seq, $3 up to this seq, $4 so many events from there, if no gap is before.
-- Served by: primary key of chapters.
SELECT job_id, seq, last_seq, trace_id, body
FROM observability.chapters
WHERE job_id = $1 AND last_seq > $2 AND seq <= least($3, $2 + $4)
ORDER BY last_seq
LIMIT $4
