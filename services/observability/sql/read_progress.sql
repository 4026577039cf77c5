-- Reads of the jobs of a batch what moves, and what their log lines name.
-- $1 job ids. Columns are in the order of Projection's fields.
-- Served by: primary key of jobs; OFFSET 0 keeps it one probe of one partition an id.
SELECT j.*
FROM unnest($1::uuid[]) AS wanted (job_id)
CROSS JOIN LATERAL (
    SELECT
        s.job_id, s.revision, s.through_seq, s.max_seq, s.trace_id, s.status,
        s.current_step, s.failed_at_step, s.error_class, s.error_message, s.evidence_payload_id,
        s.evidence_path, s.created_at, s.started_at, s.completed_at, s.attempt, s.account,
        s.task_id, s.output_url, s.outputs, s.step_count, s.note_count, s.payload_count,
        s.tool, s.view
    FROM observability.job_summaries s
    WHERE s.job_id = wanted.job_id
    OFFSET 0
) AS j
