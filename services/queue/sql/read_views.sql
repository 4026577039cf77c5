-- Read jobs as callers see them, with exact places up to $2; beyond it $2 + 1 means "more".
-- $1 job ids, $2 highest exact place. Index: jobs_pkey, requests_pkey, attempts_pkey, jobs_waiting
-- (at most $2 entries a call, and none where no job of the call waits).
WITH wanted AS MATERIALIZED (
  SELECT j.id, j.tool, j.variant, j.user_id, j.status, j.current_step, j.failed_at_step,
         j.error_message, j.error_class, j.attempt, j.cost, j.created_at, j.started_at,
         j.completed_at, j.cancel_requested_at, j.outputs, j.traceparent, j.seq,
         j.phase, j.waiting_seq
    FROM queue.jobs j WHERE j.id = ANY($1::uuid[])
), line AS MATERIALIZED (
  SELECT n.waiting_seq, row_number() OVER (ORDER BY n.waiting_seq) AS place
    FROM (SELECT j.waiting_seq FROM queue.jobs j
           WHERE j.waiting_seq IS NOT NULL
             AND (SELECT bool_or(w.waiting_seq IS NOT NULL) FROM wanted w)
           ORDER BY j.waiting_seq LIMIT $2::int) n
)
SELECT w.id, w.tool, w.variant, w.user_id, w.status, w.current_step, w.failed_at_step,
       w.error_message, w.error_class, w.attempt, w.cost, w.created_at, w.started_at,
       w.completed_at, q.retry_of, w.cancel_requested_at, w.outputs::text AS outputs,
       w.traceparent, w.seq, q.input_json, w.phase,
       CASE WHEN w.status = 'queued' THEN coalesce(l.place, $2::int + 1) ELSE 0 END AS position,
       coalesce(a.task_id, '') AS task_id, a.accepted_at, t.typical_run_s
  FROM wanted w
  JOIN queue.tools t ON t.name = w.tool
  JOIN queue.requests q ON q.job_id = w.id
  LEFT JOIN queue.attempts a ON a.job_id = w.id AND a.number = w.attempt
  LEFT JOIN line l ON l.waiting_seq = w.waiting_seq
