-- Makes jobs findable by ids.
-- $1 key (16 bytes), $2 job_id, $3 kind; in order.
-- Served by: primary key of keys.
INSERT INTO observability.keys (key, job_id, kind)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::text[])
ON CONFLICT DO NOTHING
