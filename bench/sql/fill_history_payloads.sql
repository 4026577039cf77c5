-- Make the payloads of the jobs from the template.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 first and $5 last number.
INSERT INTO observability.payloads (job_id, payload_id, seq, shown_as, frame)
SELECT pg_temp.job_id(n, $1, $2, $3), pg_temp.job_id(n * 32 + t.seq, $1, $2, $3), t.seq,
    t.shown_as, t.frame
FROM generate_series($4::bigint, $5::bigint) AS n, template_payloads t
ORDER BY n, t.seq
