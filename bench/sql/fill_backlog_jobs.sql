-- Make waiting jobs as copies of the one that waits, each with an id, a request and a place of its
-- own, spread over the users.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970.
WITH real AS (
  SELECT j.*, q.caller, q.params_sha256, q.input_json, p.webapp_id, p.body
    FROM queue.jobs j
    JOIN queue.requests q ON q.job_id = j.id
    JOIN queue.submissions p ON p.job_id = j.id
   WHERE j.waiting_seq IS NOT NULL AND q.request_id NOT LIKE 'waiting-%'
), copies AS (
  SELECT n, pg_temp.job_id(n, $1, $2, $3) AS id,
         'user-' || lpad((n % 500)::text, 4, '0') AS user_id
    FROM generate_series(1, $1::bigint) AS n
), requests AS (
  INSERT INTO queue.requests (job_id, caller, user_id, request_id, params_sha256, input_json)
  SELECT c.id, r.caller, c.user_id, 'waiting-' || c.n, r.params_sha256, r.input_json
    FROM real r, copies c
), submissions AS (
  INSERT INTO queue.submissions (job_id, webapp_id, body)
  SELECT c.id, r.webapp_id, r.body FROM real r, copies c
)
INSERT INTO queue.jobs (id, user_id, tool, variant, cost, traceparent, created_at,
                        submission_sha256, charge, status, current_step, enqueue_seq, deadline_at,
                        check_at, queued_at, seq)
SELECT c.id, c.user_id, r.tool, r.variant, r.cost, r.traceparent, r.created_at,
       r.submission_sha256, r.charge, r.status, r.current_step, r.enqueue_seq + c.n,
       now() + interval '30 days', now() + interval '30 days', r.queued_at, r.seq
  FROM real r, copies c
