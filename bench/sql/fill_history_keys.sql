-- Make the keys by which the jobs are found.
-- $1 jobs, $2 span in ms, $3 its beginning in ms since 1970, $4 first and $5 last number.
INSERT INTO observability.keys (key, job_id, kind)
SELECT substr(sha256(convert_to(k.id, 'utf8')), 1, 16), pg_temp.job_id(n, $1, $2, $3), k.kind
FROM generate_series($4::bigint, $5::bigint) AS n,
    LATERAL (VALUES ('task_id', (1900000000000000000 + n)::text), ('trace_id', md5(n::text)),
        ('request_id', 'request-' || n)) AS k(kind, id)
