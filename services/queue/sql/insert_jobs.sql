-- Insert admitted jobs as far as they got; all else of their changes follows by write_changes.
-- $1 array of rows.
WITH admitted AS (
  SELECT * FROM unnest($1::queue.new_job[])
), requests AS (
  INSERT INTO queue.requests (job_id, caller, user_id, request_id, params_sha256, input_json,
                              retry_of)
  SELECT a.id, a.caller, a.user_id, a.request_id, a.params_sha256, a.input_json, a.retry_of
    FROM admitted a
)
INSERT INTO queue.jobs (id, user_id, tool, variant, cost, traceparent, created_at, status,
                        current_step, failed_at_step, error_class, error_message, attempt, phase,
                        enqueue_seq, deadline_at, check_at, queued_at, started_at, completed_at,
                        seq, charge, submission_sha256)
SELECT a.id, a.user_id, a.tool, a.variant, a.cost, a.traceparent, a.created_at, a.status,
       a.current_step, a.failed_at_step, a.error_class, a.error_message, a.attempt, a.phase,
       a.enqueue_seq, a.deadline_at, a.deadline_at, a.queued_at, a.started_at, a.completed_at,
       a.seq, a.charge, a.submission_sha256
  FROM admitted a
