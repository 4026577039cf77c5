-- Lists jobs that failed at one step, newest first.
-- $1 at most so many, $2 and $3 bounds of job_id (exclusive), $4 and $5 bounds of created_at
-- [from, to); then, each NULL for all: $6 user_id, $7 tool, $8 statuses, $9 failed_at_step,
-- $10 error_class.
-- Bounds are compared as rows, which only the index that leads with the first column can serve.
-- Served by: failed_jobs_by_step.
SELECT *
FROM observability.job_summaries
WHERE failed_at_step = $9
    AND (failed_at_step, job_id) > ($9, $2) AND (failed_at_step, job_id) < ($9, $3)
    AND created_at >= $4 AND created_at < $5
    AND ($6::text IS NULL OR user_id = $6)
    AND ($7::text IS NULL OR tool = $7)
    AND ($8::text[] IS NULL OR status = ANY ($8))
    AND ($9::text IS NULL OR failed_at_step = $9)
    AND ($10::text IS NULL OR error_class = $10)
ORDER BY job_id DESC
LIMIT $1
