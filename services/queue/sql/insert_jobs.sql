-- Insert admitted jobs in their first state; their events and counts follow by write_changes.
-- $1 array of rows.
INSERT INTO queue.jobs (id, caller, request_id, user_id, tool, variant, params_sha256, input_json,
                        cost, retry_of, traceparent, created_at, deadline_at, seq, status,
                        current_step)
SELECT t.id, t.caller, t.request_id, t.user_id, t.tool, t.variant, t.params_sha256, t.input_json,
       t.cost, t.retry_of, t.traceparent, t.created_at, t.deadline_at, t.seq, 'pending', 'upload'
  FROM unnest($1::queue.new_job[]) t
