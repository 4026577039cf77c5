-- Lists jobs of some statuses, newest first: each phase by itself, so that each is read in order.
-- $1 at most so many, $2 and $3 bounds of job_id (exclusive), $4 and $5 bounds of created_at
-- [from, to), $6 statuses, $7 the phases that hold them; then, NULL for all: $8 tool.
-- Bounds are compared as rows, which only the index that leads with the first column can serve.
-- Served by: jobs_by_phase.
SELECT j.*
FROM unnest($7::text[]) AS wanted (phase)
CROSS JOIN LATERAL (
    SELECT s.*
    FROM observability.job_summaries s
    WHERE s.phase = wanted.phase
        AND (s.phase, s.job_id) > (wanted.phase, $2) AND (s.phase, s.job_id) < (wanted.phase, $3)
        AND s.created_at >= $4 AND s.created_at < $5 AND s.status = ANY ($6)
        AND ($8::text IS NULL OR s.tool = $8)
    ORDER BY s.job_id DESC
    LIMIT $1
) AS j
ORDER BY j.job_id DESC
LIMIT $1
