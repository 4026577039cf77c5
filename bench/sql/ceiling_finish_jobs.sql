-- Complete jobs of the ceiling.
-- $1 ids. Index: jobs_pkey.
UPDATE jobs SET status = 'completed', completed_at = now() WHERE id = ANY($1::uuid[])
