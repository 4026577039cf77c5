-- Locks and reads the oldest deliveries that a peer has not acknowledged and that no other
-- process is forwarding to it; always at least one where there are any.
-- $1 peer, $2 now, $3 most deliveries, $4 most bytes together.
-- Index: forwards_pkey, in order, then inbox_pkey.
WITH claimed AS MATERIALIZED (
    SELECT delivery_id, size_bytes, refusals
    FROM webhook.forwards
    WHERE peer = $1 AND retry_at <= $2
    ORDER BY delivery_id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT delivery_id, refusals, size_bytes,
           sum(size_bytes) OVER (ORDER BY delivery_id) AS running_bytes
    FROM claimed
)
SELECT i.delivery_id, i.token_hash, i.target, i.headers, i.body, i.body_bytes, i.is_too_large,
       i.received_at, i.traceparent, m.refusals
FROM measured m
JOIN webhook.inbox i USING (delivery_id)
WHERE m.running_bytes <= $4 OR m.running_bytes = m.size_bytes
ORDER BY i.delivery_id
