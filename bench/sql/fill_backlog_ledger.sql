-- Make the reserves of the waiting jobs.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970.
INSERT INTO queue.ledger
SELECT (jsonb_populate_record(l, jsonb_build_object(
    'entry_id', gen_random_uuid(), 'job_id', pg_temp.job_id(n, $1, $2, $3),
    'user_id', 'user-' || lpad((n % 500)::text, 4, '0')))).*
  FROM queue.ledger l, generate_series(1, $1::bigint) AS n
 WHERE l.kind = 'reserve'
