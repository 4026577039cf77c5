-- Insert admitted jobs in their first state; their events and counts follow by write_changes.
-- $1 array of rows.
WITH admitted AS (
  SELECT * FROM unnest($1::queue.new_job[])
), requests AS (
  INSERT INTO queue.requests (job_id, caller, user_id, request_id, params_sha256, input_json,
                              retry_of)
  SELECT a.id, a.caller, a.user_id, a.request_id, a.params_sha256, a.input_json, a.retry_of
    FROM admitted a
)
INSERT INTO queue.jobs (id, user_id, tool, variant, cost, traceparent, created_at, deadline_at,
                        check_at, seq, status, current_step)
SELECT a.id, a.user_id, a.tool, a.variant, a.cost, a.traceparent, a.created_at, a.deadline_at,
       a.deadline_at, a.seq, 'pending', 'upload'
  FROM admitted a
