-- Moves the oldest arrivals that nobody holds any more to the inbox, so that every peer hears of
-- them from there; returns how many they were.
-- $1 now, $2 most arrivals, $3 all peers.
-- Index: arrivals_pkey, in order, past the few that are held.
WITH due AS MATERIALIZED (
    SELECT delivery_id
    FROM webhook.arrivals
    WHERE held_until <= $1
    ORDER BY delivery_id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), moved AS (
    DELETE FROM webhook.arrivals a
    USING due d
    WHERE a.delivery_id = d.delivery_id
    RETURNING a.delivery_id, a.token_hash, a.target, a.headers, a.body, a.body_bytes,
              a.is_too_large, a.received_at, a.traceparent
), kept AS (
    INSERT INTO webhook.inbox (delivery_id, token_hash, target, headers, body, body_bytes,
                               is_too_large, received_at, traceparent)
    SELECT * FROM moved
    ON CONFLICT (delivery_id) DO NOTHING
    RETURNING delivery_id, octet_length(target) + octet_length(headers) + octet_length(body) AS size
), owed AS (
    INSERT INTO webhook.forwards (peer, delivery_id, size_bytes)
    SELECT p.peer, k.delivery_id, k.size
    FROM kept k CROSS JOIN unnest($3::text[]) AS p (peer)
)
SELECT count(*) FROM due
