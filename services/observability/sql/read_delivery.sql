-- Reads one callback as the gateway told it, matched or not.
-- $1 delivery id.
-- Served by: primary key of deliveries.
SELECT state, job_id, encoding, body, blob_sha256, info
FROM observability.deliveries
WHERE delivery_id = $1
