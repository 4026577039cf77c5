-- Locks deliveries in key order, so that of two peers' loops the later one sees, in its next
-- statements, what the earlier one committed: exactly one of them finds the delivery finished.
-- $1 delivery ids.
-- Index: inbox_pkey.
SELECT delivery_id
FROM webhook.inbox
WHERE delivery_id = ANY ($1::uuid[])
ORDER BY delivery_id
FOR UPDATE
