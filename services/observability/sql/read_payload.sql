-- Reads one payload with its body and the event that describes it. The encoding stays `delivery`
-- where the gateway has not told of a callback yet.
-- $1 job_id, $2 payload_id.
-- Served by: primary keys of payloads, events and deliveries; OFFSET 0 keeps the last one probe of
-- one partition.
SELECT coalesce(d.encoding, p.encoding) AS encoding, coalesce(d.body, p.body) AS body,
    coalesce(d.blob_sha256, p.blob_sha256) AS blob_sha256, d.info, p.repeats, p.last_repeat_at,
    e.body AS event_body
FROM observability.payloads p
JOIN observability.events e ON e.job_id = p.job_id AND e.seq = p.seq
LEFT JOIN LATERAL (
    SELECT * FROM observability.deliveries x
    WHERE x.delivery_id = p.payload_id AND p.encoding = 'delivery'
    OFFSET 0
) AS d ON true
WHERE p.job_id = $1 AND p.payload_id = $2
ORDER BY p.seq
LIMIT 1
