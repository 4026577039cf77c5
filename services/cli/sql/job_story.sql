-- One job's whole story, as the plan has it; runs as it stands in psql on each tool's view.
-- $1: id of the job, as text.
-- Index: the primary key of observability's jobs, beneath the view.
SELECT
  id,
  status,
  current_step,
  failed_at_step,
  error_message,
  step_history,
  raw_api_response,
  raw_webhook_payload,
  created_at,
  started_at,
  completed_at
FROM upscaler_jobs
WHERE id = $1
ORDER BY created_at DESC
LIMIT 1;
