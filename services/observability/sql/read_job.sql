-- Reads one job's projection.
-- $1 job_id.
-- Served by: primary key of jobs.
SELECT * FROM observability.job_summaries WHERE job_id = $1 AND status IS NOT NULL
