-- Make the events of the jobs from the template.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 first and $5 last number.
INSERT INTO observability.events
    (job_id, seq, attempt, occurred_at, kind, step, details, trace_id, body)
SELECT pg_temp.job_id(n, $1, $2, $3), t.seq, t.attempt,
    to_timestamp(($3 + n * $2 / $1) / 1000.0), t.kind, t.step, t.details,
    decode(md5(n::text), 'hex'), t.body
FROM generate_series($4::bigint, $5::bigint) AS n, template_events t
ORDER BY n, t.seq
