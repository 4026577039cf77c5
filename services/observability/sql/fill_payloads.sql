-- Gives awaited payloads their bytes, which the gateway has now told.
-- $1 job_id, $2 payload_id, $3 encoding, $4 body or NULL, $5 blob's sha256 or NULL, $6 info,
-- $7 raw_webhook_payload (jsonb text), $8 lowest and $9 highest job_id of $1.
-- Served by: primary key of payloads.
UPDATE observability.payloads p
SET encoding = f.encoding, body = f.body, blob_sha256 = f.blob_sha256, info = f.info,
    raw_webhook_payload = f.raw_webhook_payload::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bytea[], $7::text[])
    AS f (job_id, payload_id, encoding, body, blob_sha256, info, raw_webhook_payload)
WHERE p.job_id = f.job_id AND p.payload_id = f.payload_id AND p.encoding = 'awaited'
    AND p.job_id BETWEEN $8 AND $9
