-- Makes due at once whatever is held, but for what a process is forwarding at the moment; what a
-- peer refused stays set aside.
-- Index: none; once a start, over a small table.
UPDATE webhook.forwards f
SET retry_at = '-infinity'
FROM (
    SELECT peer, delivery_id
    FROM webhook.forwards
    WHERE refusals = 0 AND retry_at > '-infinity'
    FOR UPDATE SKIP LOCKED
) AS held
WHERE f.peer = held.peer AND f.delivery_id = held.delivery_id
