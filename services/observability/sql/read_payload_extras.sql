-- Reads what was learned of a job's payloads after their events: repeats, and the gateway's
-- description of callbacks; last first.
-- $1 job_id, $2 up to this seq, $3 at most so many.
-- Served by: payloads_by_seq.
SELECT payload_id, info, repeats, last_repeat_at
FROM observability.payloads
WHERE job_id = $1 AND seq <= $2 AND (raw_api_response IS NOT NULL OR raw_webhook_payload IS NOT NULL
    OR info IS NOT NULL OR repeats > 0)
ORDER BY seq DESC
LIMIT $3
