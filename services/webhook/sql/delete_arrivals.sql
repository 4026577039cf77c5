-- Deletes arrivals that every peer has acknowledged.
-- $1 delivery ids.
-- Index: arrivals_pkey.
DELETE FROM webhook.arrivals WHERE delivery_id = ANY ($1::uuid[])
