-- Stores payloads; one that is there already stays as it is.
-- $1 job_id, $2 payload_id, $3 seq, $4 encoding, $5 body or NULL, $6 blob's sha256 or NULL,
-- $7 PayloadInfo of the gateway or NULL, $8 raw_api_response and $9 raw_webhook_payload (jsonb
-- text) or NULL; in order of (job_id, payload_id).
-- Served by: primary key of payloads.
INSERT INTO observability.payloads
    (job_id, payload_id, seq, encoding, body, blob_sha256, info, raw_api_response,
        raw_webhook_payload)
SELECT p.job_id, p.payload_id, p.seq, p.encoding, p.body, p.blob_sha256, p.info,
    p.raw_api_response::jsonb, p.raw_webhook_payload::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[], $6::text[],
        $7::bytea[], $8::text[], $9::text[])
    AS p (job_id, payload_id, seq, encoding, body, blob_sha256, info, raw_api_response,
        raw_webhook_payload)
ON CONFLICT (job_id, payload_id) DO NOTHING
