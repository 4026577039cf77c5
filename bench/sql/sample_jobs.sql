-- Some jobs of a filled history, spread evenly.
-- $1 how many, $2 one of how many numbers is taken.
SELECT job_id, user_id, request_id, task_id, trace_id
  FROM observability.jobs WHERE request_id = ANY(
    SELECT 'request-' || (n * $2::bigint + 7) FROM generate_series(1, $1::bigint) AS n)
