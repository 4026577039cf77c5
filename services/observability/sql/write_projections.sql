-- Writes projections that were folded from revision - 1, and notes the change for the feeds.
-- Returns how many were written: fewer than given means that somebody else wrote first.
-- $1 job_id ... $32 phase: the columns of jobs in the order below; in order of job_id.
-- Served by: primary key of jobs.
WITH written AS (
    INSERT INTO observability.jobs AS j (
        job_id, revision, through_seq, max_seq, tool, variant, user_id, caller,
        request_id, retry_of, cost, input_json, trace_id, status, current_step,
        failed_at_step, error_class, error_message, evidence_payload_id, evidence_path,
        created_at, started_at, completed_at, attempt, account, task_id, output_url,
        outputs, step_count, note_count, payload_count, phase)
    SELECT *
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
        $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::bytea[],
        $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[],
        $21::timestamptz[], $22::timestamptz[], $23::timestamptz[], $24::integer[], $25::text[],
        $26::text[], $27::text[], $28::bytea[], $29::integer[], $30::integer[], $31::integer[],
        $32::text[])
    ON CONFLICT (job_id) DO UPDATE SET
        revision = excluded.revision, through_seq = excluded.through_seq,
        max_seq = excluded.max_seq, tool = excluded.tool, variant = excluded.variant,
        user_id = excluded.user_id, caller = excluded.caller, request_id = excluded.request_id,
        retry_of = excluded.retry_of, cost = excluded.cost, input_json = excluded.input_json,
        trace_id = excluded.trace_id, status = excluded.status,
        current_step = excluded.current_step, failed_at_step = excluded.failed_at_step,
        error_class = excluded.error_class, error_message = excluded.error_message,
        evidence_payload_id = excluded.evidence_payload_id,
        evidence_path = excluded.evidence_path, created_at = excluded.created_at,
        started_at = excluded.started_at, completed_at = excluded.completed_at,
        attempt = excluded.attempt, account = excluded.account, task_id = excluded.task_id,
        output_url = excluded.output_url, outputs = excluded.outputs,
        step_count = excluded.step_count, note_count = excluded.note_count,
        payload_count = excluded.payload_count, phase = excluded.phase
    WHERE j.revision = excluded.revision - 1
    RETURNING job_id
), noted AS (
    INSERT INTO observability.job_changes (job_id) SELECT job_id FROM written
)
SELECT count(*) FROM written
