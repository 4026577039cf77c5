-- Marks callbacks as moved to their jobs' payloads and drops the bytes here.
-- $1 delivery_id, $2 job_id.
-- Served by: primary key of deliveries.
UPDATE observability.deliveries d
SET state = 'moved', job_id = m.job_id, encoding = NULL, body = NULL, blob_sha256 = NULL,
    info = NULL, raw_webhook_payload = NULL
FROM unnest($1::uuid[], $2::uuid[]) AS m (delivery_id, job_id)
WHERE d.delivery_id = m.delivery_id
