-- Find jobs whose phase has run out of time.
-- $1 now, $2 at most so many. Index: jobs_deadline.
SELECT id FROM queue.jobs WHERE deadline_at <= $1 ORDER BY deadline_at LIMIT $2
