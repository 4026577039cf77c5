-- Reads what was learned of a job's payloads beside their events: repeats, and the gateway's
-- description of callbacks; last first.
-- $1 job_id, $2 up to this seq, $3 at most so many.
-- Served by: primary keys of payloads and deliveries; OFFSET 0 keeps the second one probe of one
-- partition a payload.
SELECT p.payload_id, d.info, coalesce(p.repeats, 0) AS repeats, p.last_repeat_at
FROM observability.payloads p
LEFT JOIN LATERAL (
    SELECT * FROM observability.deliveries x
    WHERE x.delivery_id = p.payload_id AND p.frame IS NULL AND p.blob_sha256 IS NULL
    OFFSET 0
) AS d ON true
WHERE p.job_id = $1 AND p.seq <= $2
    AND (p.repeats IS NOT NULL OR (p.frame IS NULL AND p.blob_sha256 IS NULL))
ORDER BY p.seq DESC
LIMIT $3
