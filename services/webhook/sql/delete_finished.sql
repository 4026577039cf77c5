-- Deletes those deliveries that every peer has acknowledged; returns how many they are.
-- $1 delivery ids, locked by delete_forwards.sql, the statement before.
-- Index: inbox_pkey, forwards_pkey.
WITH finished AS (
    DELETE FROM webhook.inbox i
    WHERE i.delivery_id = ANY ($1::uuid[])
      AND NOT EXISTS (
          SELECT FROM webhook.forwards f
          WHERE f.peer IN ('observability', 'queue') AND f.delivery_id = i.delivery_id
      )
    RETURNING 1
)
SELECT count(*) FROM finished
