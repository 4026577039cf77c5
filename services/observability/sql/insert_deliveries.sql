-- Opens the meeting places of callbacks, from whichever side came first. Returns how many were
-- made: fewer than given means that the other side is just arriving.
-- $1 delivery_id, $2 state, $3 received_at, $4 job_id or NULL, $5 encoding, $6 body, $7 blob's
-- sha256, $8 info, $9 raw_webhook_payload (jsonb text), all NULL where the body is awaited; in
-- order of delivery_id.
-- Served by: primary key of deliveries.
WITH made AS (
    INSERT INTO observability.deliveries
        (delivery_id, state, received_at, job_id, encoding, body, blob_sha256, info,
            raw_webhook_payload)
    SELECT d.delivery_id, d.state, d.received_at, d.job_id, d.encoding, d.body, d.blob_sha256,
        d.info, d.raw_webhook_payload::jsonb
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::text[], $6::bytea[],
            $7::text[], $8::bytea[], $9::text[])
        AS d (delivery_id, state, received_at, job_id, encoding, body, blob_sha256, info,
            raw_webhook_payload)
    ON CONFLICT (delivery_id) DO NOTHING
    RETURNING delivery_id
)
SELECT count(*) FROM made
