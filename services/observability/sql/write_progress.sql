-- Moves projections that are there one revision further.
-- Returns how many were written: fewer than given means that somebody else wrote first.
-- $1 job_progress of each, in order of job_id; $2 lowest and $3 highest job_id of $1 (they leave only
-- the partitions that hold these jobs).
-- Served by: primary key of jobs.
WITH written AS (
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
    FROM unnest($1::observability.job_progress[]) AS p
    WHERE j.job_id = p.job_id AND j.revision = p.revision - 1 AND j.job_id BETWEEN $2 AND $3
    RETURNING j.job_id
)
SELECT count(*) FROM written
