-- How many jobs were completed from a time on.
-- $1 since. Index: jobs_finished.
SELECT count(*) FROM queue.jobs WHERE completed_at >= $1 AND status = 'completed'
