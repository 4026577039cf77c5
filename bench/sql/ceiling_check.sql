-- The finished jobs of the ceiling with their steps in order of time and their whole bodies.
-- $1 bytes that a whole body has at least.
SELECT j.id,
       (SELECT array_agg(s.seq ORDER BY s.at, s.seq) FROM steps s WHERE s.job_id = j.id) AS steps,
       (SELECT count(*) FROM payloads p WHERE p.job_id = j.id AND octet_length(p.body) >= $1::int)
         AS bodies
  FROM jobs j WHERE j.status = 'completed'
