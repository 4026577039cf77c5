-- Deletes deliveries that every peer has acknowledged.
-- $1 delivery ids.
-- Index: inbox_pkey, forwards_pkey.
WITH told AS (
    DELETE FROM webhook.forwards
    WHERE peer IN ('observability', 'queue') AND delivery_id = ANY ($1::uuid[])
)
DELETE FROM webhook.inbox WHERE delivery_id = ANY ($1::uuid[])
