-- Make the chapters of the waiting jobs that will be started.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 how many, from the first, $5 the
-- id of the real job.
INSERT INTO observability.chapters
SELECT (jsonb_populate_record(c, jsonb_build_object('job_id', pg_temp.job_id(n, $1, $2, $3)))).*
  FROM observability.chapters c, generate_series(1, $4::bigint) AS n
 WHERE c.job_id = $5
