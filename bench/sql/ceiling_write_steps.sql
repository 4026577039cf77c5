-- Insert steps of the ceiling.
-- $1 job ids, $2 numbers, $3 names.
INSERT INTO steps (job_id, seq, step) SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[])
