-- Writes whole projections, folded from revision - 1, of jobs whose facts have just arrived.
-- Returns how many were written: fewer than given means that somebody else wrote first.
-- $1 rows of jobs, in order of job_id.
-- Served by: primary key of jobs.
WITH written AS (
    INSERT INTO observability.jobs AS j
    SELECT given.* FROM unnest($1::observability.jobs[]) AS given
    ON CONFLICT (job_id) DO UPDATE SET
        revision = excluded.revision, through_seq = excluded.through_seq,
        max_seq = excluded.max_seq, tool = excluded.tool, variant = excluded.variant,
        user_id = excluded.user_id, caller = excluded.caller, request_id = excluded.request_id,
        retry_of = excluded.retry_of, cost = excluded.cost, input_json = excluded.input_json,
        trace_id = excluded.trace_id, status = excluded.status, phase = excluded.phase,
        current_step = excluded.current_step, failed_at_step = excluded.failed_at_step,
        error_class = excluded.error_class, error_message = excluded.error_message,
        evidence_payload_id = excluded.evidence_payload_id,
        evidence_path = excluded.evidence_path, created_at = excluded.created_at,
        started_at = excluded.started_at, completed_at = excluded.completed_at,
        attempt = excluded.attempt, account = excluded.account, task_id = excluded.task_id,
        output_url = excluded.output_url, outputs = excluded.outputs,
        step_count = excluded.step_count, note_count = excluded.note_count,
        payload_count = excluded.payload_count
    WHERE j.revision = excluded.revision - 1
    RETURNING job_id
)
SELECT count(*) FROM written
