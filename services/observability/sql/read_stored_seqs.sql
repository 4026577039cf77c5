-- Reads which of some numbers of a job are stored: those behind a gap may be.
-- $1 job_id, $2 numbers.
-- Served by: primary key of events.
SELECT seq FROM observability.events WHERE job_id = $1 AND seq = ANY ($2::bigint[])
