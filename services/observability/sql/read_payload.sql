-- Reads one payload with its body and the event that describes it.
-- $1 job_id, $2 payload_id.
-- Served by: primary keys of payloads and events.
SELECT p.encoding, p.body, p.blob_sha256, p.info, p.repeats, p.last_repeat_at, e.body AS event_body
FROM observability.payloads p
JOIN observability.events e ON e.job_id = p.job_id AND e.seq = p.seq
WHERE p.job_id = $1 AND p.payload_id = $2
