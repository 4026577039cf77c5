-- Find which jobs are final by now.
-- $1 job ids. Index: jobs_pkey.
SELECT id FROM queue.jobs WHERE id = ANY($1::uuid[]) AND completed_at IS NOT NULL
