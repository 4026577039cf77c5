-- Counts equal answers; one row a payload.
-- $1 job_id, $2 payload_id, $3 how often, $4 when last, $5 lowest and $6 highest job_id of $1 (they
-- leave only the partitions that hold these jobs).
-- Served by: primary key of payloads.
UPDATE observability.payloads p
SET repeats = coalesce(p.repeats, 0) + r.count, last_repeat_at = greatest(p.last_repeat_at, r.last_at)
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[])
    AS r (job_id, payload_id, count, last_at)
WHERE p.job_id = r.job_id AND p.payload_id = r.payload_id AND p.job_id BETWEEN $5 AND $6
