-- Keep aside events that could not be told as they are; each once, however often it is sent.
-- $1 job ids, $2 seq, $3 kinds, $4 bodies, $5 why, side by side; $6 now.
INSERT INTO queue.rejected_events (job_id, seq, kind, body, why, rejected_at)
SELECT r.job_id, r.seq, r.kind, r.body, r.why, $6
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[])
       AS r(job_id, seq, kind, body, why)
ON CONFLICT DO NOTHING
