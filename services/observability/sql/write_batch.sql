-- Writes all that a batch of events makes, or nothing of it: it fails with a serialization error where
-- somebody else has moved one of the projections on since they were read. All rows in order of job_id.
-- $1 rows of chapters; $2 rows of payloads; $3 rows of keys; $4 rows of jobs, folded from
-- revision - 1, whose facts have just arrived; $5 job_progress of the other jobs; $6 lowest and $7
-- highest job_id of $5 (they leave only the partitions that hold these jobs); $8 all job ids.
-- Served by: primary keys of jobs and keys.
WITH chapters AS (
    INSERT INTO observability.chapters
    SELECT given.* FROM unnest($1::observability.chapters[]) AS given
), payloads AS (
    INSERT INTO observability.payloads
    SELECT given.* FROM unnest($2::observability.payloads[]) AS given
), keys AS (
    INSERT INTO observability.keys
    SELECT given.* FROM unnest($3::observability.keys[]) AS given
    ON CONFLICT DO NOTHING
), whole AS (
    INSERT INTO observability.jobs AS j
    SELECT given.* FROM unnest($4::observability.jobs[]) AS given
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
), moved AS (
    UPDATE observability.jobs j
    SET revision = p.revision, through_seq = p.through_seq, max_seq = p.max_seq,
        trace_id = p.trace_id, status = p.status, phase = p.phase,
        current_step = p.current_step, failed_at_step = p.failed_at_step,
        error_class = p.error_class, error_message = p.error_message,
        evidence_payload_id = p.evidence_payload_id, evidence_path = p.evidence_path,
        created_at = p.created_at, started_at = p.started_at, completed_at = p.completed_at,
        attempt = p.attempt, account = p.account, task_id = p.task_id,
        output_url = p.output_url, outputs = p.outputs, step_count = p.step_count,
        note_count = p.note_count, payload_count = p.payload_count
    FROM unnest($5::observability.job_progress[]) AS p
    WHERE j.job_id = p.job_id AND j.revision = p.revision - 1 AND j.job_id BETWEEN $6 AND $7
    RETURNING j.job_id
), changed AS (
    INSERT INTO observability.job_changes (job_ids) VALUES ($8)
)
SELECT observability.check_written(
    (SELECT count(*) FROM whole) + (SELECT count(*) FROM moved), cardinality($8::uuid[]))
