-- Keeps a batch of deliveries and notes that peers are to hear of them. May be repeated.
-- $1 delivery ids, $2 token hashes, $3 targets, $4 headers, $5 bodies, $6 sizes seen in bytes,
-- $7 whether too large, $8 times of arrival, $9 traceparents: arrays of one length.
-- $10 the peers, $11 until when each one's row is held by who inserts it: arrays of one length.
-- Index: inbox_pkey, for the conflict.
WITH kept AS (
    INSERT INTO webhook.inbox (delivery_id, token_hash, target, headers, body, body_bytes,
                               is_too_large, received_at, traceparent)
    SELECT *
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[],
                $7::boolean[], $8::timestamptz[], $9::text[])
    ON CONFLICT (delivery_id) DO NOTHING
    RETURNING delivery_id, octet_length(target) + octet_length(headers) + octet_length(body) AS size
)
INSERT INTO webhook.forwards (peer, delivery_id, size_bytes, retry_at)
SELECT p.peer, k.delivery_id, k.size, p.held_until
FROM kept k CROSS JOIN unnest($10::text[], $11::timestamptz[]) AS p (peer, held_until)
