-- Keeps the raw callback and its step, and adds the job's second task, in one statement.
-- $1 job_id, $2 task_id, $3 body
WITH payload AS (
    INSERT INTO bench.payload (job_id, kind, body) VALUES ($1::bigint, 'callback', $3::bytea)
), step AS (
    INSERT INTO bench.step (job_id, place, name) VALUES ($1, 7, 'webhook_received')
)
SELECT
FROM graphile_worker.add_job('finish', json_build_object('jobId', $1, 'taskId', $2::text));
