-- Forgets callbacks that no job has claimed; each is looked at once. Returns how many were looked
-- at and how many of them are gone.
-- $1 ids below this one, $2 at most so many.
-- Served by: primary keys of deliveries and keys.
WITH floor AS (
    SELECT delivery_id FROM observability.delivery_floor FOR UPDATE
), looked_at AS MATERIALIZED (
    SELECT d.delivery_id FROM observability.deliveries d
    WHERE d.delivery_id > (SELECT delivery_id FROM floor) AND d.delivery_id < $1
    ORDER BY d.delivery_id
    LIMIT $2
), unclaimed AS MATERIALIZED (
    SELECT l.delivery_id FROM looked_at l
    WHERE NOT EXISTS (
        SELECT FROM observability.keys k
        WHERE k.key = substr(sha256(convert_to(l.delivery_id::text, 'UTF8')), 1, 16))
), forgotten AS (
    DELETE FROM observability.deliveries
    WHERE delivery_id = ANY (ARRAY(SELECT delivery_id FROM unclaimed))
    RETURNING 1
), moved AS (
    UPDATE observability.delivery_floor
    SET delivery_id = (SELECT delivery_id FROM looked_at ORDER BY delivery_id DESC LIMIT 1)
    WHERE EXISTS (SELECT FROM looked_at)
)
SELECT (SELECT count(*) FROM looked_at) AS looked_at, (SELECT count(*) FROM forgotten) AS forgotten
