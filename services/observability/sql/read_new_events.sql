-- Reads what is new of all watched jobs at once, each up to its first gap.
-- $1 job_id, $2 after this seq, $3 at most so many a job.
-- Served by: primary keys of jobs and events.
SELECT e.job_id, e.seq, e.attempt, e.occurred_at, e.kind, e.details::text AS details, e.trace_id,
    e.body
FROM unnest($1::uuid[], $2::bigint[]) AS w (job_id, after_seq)
CROSS JOIN LATERAL (
    SELECT j.through_seq FROM observability.jobs j WHERE j.job_id = w.job_id OFFSET 0
) AS j
CROSS JOIN LATERAL (
    SELECT * FROM observability.events x
    WHERE x.job_id = w.job_id AND x.seq > w.after_seq AND x.seq <= j.through_seq
    ORDER BY x.seq
    LIMIT $3
) AS e
