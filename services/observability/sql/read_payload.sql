-- Reads one payload with its body and the chapter with the event that describes it. It has neither
-- frame nor blob where the gateway has not told of a callback yet.
-- $1 job_id, $2 payload_id.
-- Served by: primary keys of payloads, chapters and deliveries; OFFSET 0 keeps the last one probe of
-- one partition.
SELECT coalesce(d.frame, p.frame) AS frame, coalesce(d.blob_sha256, p.blob_sha256) AS blob_sha256,
    d.info, coalesce(p.repeats, 0) AS repeats, p.last_repeat_at, p.seq AS event_seq, c.job_id, c.seq, c.last_seq, c.trace_id,
    c.body
FROM observability.payloads p
CROSS JOIN LATERAL (
    SELECT * FROM observability.chapters x
    WHERE x.job_id = p.job_id AND x.last_seq >= p.seq
    ORDER BY x.last_seq
    LIMIT 1
) AS c
LEFT JOIN LATERAL (
    SELECT * FROM observability.deliveries x
    WHERE x.delivery_id = p.payload_id AND p.frame IS NULL AND p.blob_sha256 IS NULL
    OFFSET 0
) AS d ON true
WHERE p.job_id = $1 AND p.payload_id = $2
ORDER BY p.seq
LIMIT 1
