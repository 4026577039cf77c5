-- Keeps a new job and its first four steps, and enqueues its workflow, in one statement.
-- $1 job_id, $2 the workflow's id
WITH job AS (
    INSERT INTO bench.job (job_id) VALUES ($1::bigint)
), step AS (
    INSERT INTO bench.step (job_id, place, name)
    VALUES
        ($1, 1, 'upload_received'),
        ($1, 2, 'inserted'),
        ($1, 3, 'credits_reserved'),
        ($1, 4, 'queued')
)
SELECT dbos.enqueue_workflow(
    workflow_name => 'full',
    queue_name => 'bench',
    positional_args => ARRAY[to_json($1)],
    workflow_id => $2::text,
    app_version => 'bench'
);
