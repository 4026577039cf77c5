-- Marks deliveries as acknowledged by a peer. Locks them first: lock_deliveries.sql.
-- $1 peer, $2 delivery ids.
-- Index: forwards_pkey.
DELETE FROM webhook.forwards
WHERE peer = $1 AND delivery_id = ANY ($2::uuid[])
