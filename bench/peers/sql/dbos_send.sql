-- Keeps the raw callback and its step, and sends its task id to the workflow, in one statement.
-- $1 job_id, $2 the workflow's id, $3 task_id, $4 body
WITH payload AS (
    INSERT INTO bench.payload (job_id, kind, body) VALUES ($1::bigint, 'callback', $4::bytea)
), step AS (
    INSERT INTO bench.step (job_id, place, name) VALUES ($1, 7, 'webhook_received')
)
SELECT dbos.send_message(
    destination_id => $2::text,
    message => to_json($3::text),
    topic => 'callback'
);
