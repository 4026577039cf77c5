-- Reads the projections of the jobs of a batch.
-- $1 job ids.
-- Served by: primary key of jobs; OFFSET 0 keeps it one probe of one partition an id.
SELECT j.*
FROM unnest($1::uuid[]) AS wanted (job_id)
CROSS JOIN LATERAL (
    SELECT s.* FROM observability.job_summaries s WHERE s.job_id = wanted.job_id OFFSET 0
) AS j
