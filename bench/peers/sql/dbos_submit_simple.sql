-- Enqueues the workflow of a job of the small benchmark.
-- $1 job_id, $2 the workflow's id
SELECT dbos.enqueue_workflow(
    workflow_name => 'simple',
    queue_name => 'bench',
    positional_args => ARRAY[to_json($1::bigint)],
    workflow_id => $2::text,
    app_version => 'bench'
);
