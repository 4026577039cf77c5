-- Reads and locks the meeting places of callbacks.
-- $1 delivery ids.
-- Served by: primary key of deliveries; OFFSET 0 keeps it one probe of one partition an id.
SELECT d.delivery_id, d.state, d.job_id, d.encoding, d.body, d.blob_sha256, d.info,
    d.raw_webhook_payload::text AS raw_webhook_payload
FROM unnest($1::uuid[]) AS wanted (delivery_id)
CROSS JOIN LATERAL (
    SELECT * FROM observability.deliveries x
    WHERE x.delivery_id = wanted.delivery_id
    OFFSET 0
    FOR NO KEY UPDATE
) AS d
