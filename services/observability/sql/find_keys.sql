-- Finds jobs by an id, newest first.
-- $1 key (16 bytes), $2 at most so many.
-- Served by: primary key of keys.
SELECT job_id, kind FROM observability.keys WHERE key = $1 ORDER BY job_id DESC LIMIT $2
