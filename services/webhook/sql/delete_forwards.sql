-- Marks deliveries as acknowledged by a peer. Locks them first, in key order, so that of two peers'
-- loops the later one sees, in its next statement, what the earlier one committed: exactly one of
-- them finds a delivery finished.
-- $1 peer, $2 delivery ids.
-- Index: inbox_pkey, forwards_pkey.
WITH locked AS MATERIALIZED (
    SELECT delivery_id
    FROM webhook.inbox
    WHERE delivery_id = ANY ($2::uuid[])
    ORDER BY delivery_id
    FOR UPDATE
)
DELETE FROM webhook.forwards f
USING locked l
WHERE f.peer = $1 AND f.delivery_id = l.delivery_id
