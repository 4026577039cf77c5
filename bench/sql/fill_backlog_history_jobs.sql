-- Make observability's projections of the waiting jobs that will be started.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 how many, from the first, $5 the
-- id of the real job.
INSERT INTO observability.jobs
SELECT (jsonb_populate_record(t, jsonb_build_object(
    'job_id', pg_temp.job_id(n, $1, $2, $3), 'request_id', 'waiting-' || n,
    'user_id', 'user-' || lpad((n % 500)::text, 4, '0')))).*
  FROM observability.jobs t, generate_series(1, $4::bigint) AS n
 WHERE t.job_id = $5
