-- Reads the chapters with what is new of all watched jobs at once, each up to its first gap.
-- $1 job_id, $2 after this seq, $3 so many events a job.
-- Served by: primary keys of jobs and chapters.
SELECT c.job_id, c.seq, c.last_seq, c.trace_id, c.body
FROM unnest($1::uuid[], $2::bigint[]) AS w (job_id, after_seq)
CROSS JOIN LATERAL (
    SELECT j.through_seq FROM observability.jobs j WHERE j.job_id = w.job_id OFFSET 0
) AS j
CROSS JOIN LATERAL (
    SELECT * FROM observability.chapters x
    WHERE x.job_id = w.job_id AND x.last_seq > w.after_seq
        AND x.seq <= least(j.through_seq, w.after_seq + $3)
    ORDER BY x.last_seq
    LIMIT $3
) AS c
