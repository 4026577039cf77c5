-- Make the chapters of the jobs from the template.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 first and $5 last number.
INSERT INTO observability.chapters (job_id, seq, last_seq, trace_id, kinds, steps, body)
SELECT pg_temp.job_id(n, $1, $2, $3), t.seq, t.last_seq, decode(md5(n::text), 'hex'), t.kinds,
    t.steps, t.body
FROM generate_series($4::bigint, $5::bigint) AS n, template_chapters t
ORDER BY n, t.seq
