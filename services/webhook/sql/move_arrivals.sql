-- Moves arrivals to the inbox and notes which peers are to hear of them. What is there already,
-- moved by another gateway, stays as it is.
-- $1 delivery ids, $2 peers.
-- Index: arrivals_pkey.
WITH moved AS (
    DELETE FROM webhook.arrivals
    WHERE delivery_id = ANY ($1::uuid[])
    RETURNING delivery_id, token_hash, target, headers, body, body_bytes, is_too_large,
              received_at, traceparent
), kept AS (
    INSERT INTO webhook.inbox (delivery_id, token_hash, target, headers, body, body_bytes,
                               is_too_large, received_at, traceparent)
    SELECT * FROM moved
    ON CONFLICT (delivery_id) DO NOTHING
    RETURNING delivery_id, octet_length(target) + octet_length(headers) + octet_length(body) AS size
)
INSERT INTO webhook.forwards (peer, delivery_id, size_bytes)
SELECT p.peer, k.delivery_id, k.size
FROM kept k CROSS JOIN unnest($2::text[]) AS p (peer)
