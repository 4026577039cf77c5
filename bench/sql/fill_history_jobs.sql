-- Make projections: most completed, some failed, the newest waiting or running.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 first and $5 last number.
INSERT INTO observability.jobs (job_id, revision, through_seq, max_seq, tool, variant, user_id,
    caller, request_id, retry_of, cost, input_json, trace_id, status, phase, current_step,
    failed_at_step, error_class, error_message, evidence_payload_id, evidence_path, created_at,
    started_at, completed_at, attempt, account, task_id, output_url, outputs, step_count,
    note_count, payload_count)
SELECT pg_temp.job_id(n, $1, $2, $3), 1, e.events, e.events,
    (ARRAY['bench_text', 'upscaler', 'pose_changer', 'veste_ai'])[1 + n % 4], 'standard',
    'user-' || n % 25000, 'bench', 'request-' || n, '', 1, '{"ref":"' || md5(n::text) || '"}',
    decode(md5(n::text), 'hex'), status,
    CASE status WHEN 'queued' THEN 'waiting' WHEN 'running' THEN 'busy' ELSE status END,
    status, CASE WHEN status = 'failed' THEN 'running' END,
    CASE WHEN status = 'failed' THEN (ARRAY['gpu_oom', 'infra', 'timeout'])[1 + n % 3] END,
    CASE WHEN status = 'failed' THEN 'CUDA out of memory' END,
    CASE WHEN status = 'failed' THEN '' END, CASE WHEN status = 'failed' THEN '' END,
    at, at, CASE WHEN status IN ('completed', 'failed', 'cancelled') THEN at END, 1, 'account-1',
    (1900000000000000000 + n)::text, NULL, NULL, e.steps, 0, e.payloads
FROM (
    SELECT n, to_timestamp(($3 + n * $2 / $1) / 1000.0) AS at,
        CASE WHEN n > $1 - 100 THEN 'running' WHEN n > $1 - 1000 THEN 'queued'
            WHEN n % 20 = 0 THEN 'failed' WHEN n % 500 = 1 THEN 'cancelled'
            ELSE 'completed' END AS status
    FROM generate_series($4::bigint, $5::bigint) AS n
) AS made, (
    SELECT max(last_seq) AS events,
        length(string_agg(kinds, '')) - length(replace(string_agg(kinds, ''), 's', '')) AS steps,
        length(string_agg(kinds, '')) - length(replace(string_agg(kinds, ''), 'p', '')) AS payloads
    FROM template_chapters
) AS e
