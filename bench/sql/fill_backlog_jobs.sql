-- Make waiting jobs as copies of the one that waits, each with an id, a request and a place of its
-- own, spread over the users. Whatever other columns there are keep the real job's values.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970.
INSERT INTO queue.jobs
SELECT (jsonb_populate_record(t, jsonb_build_object(
    'id', pg_temp.job_id(n, $1, $2, $3), 'request_id', 'waiting-' || n,
    'user_id', 'user-' || lpad((n % 500)::text, 4, '0'), 'enqueue_seq', t.enqueue_seq + n,
    'deadline_at', now() + interval '30 days'))).*
  FROM queue.jobs t, generate_series(1, $1::bigint) AS n
 WHERE t.status = 'queued' AND t.request_id NOT LIKE 'waiting-%'
