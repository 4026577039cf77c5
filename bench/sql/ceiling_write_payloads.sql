-- Insert payloads of the ceiling.
-- $1 job ids, $2 numbers of their steps, $3 bodies.
INSERT INTO payloads (job_id, seq, body) SELECT * FROM unnest($1::uuid[], $2::int[], $3::bytea[])
