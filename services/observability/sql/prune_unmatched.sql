-- Forgets callbacks that no job has claimed. One that is being matched right now is left alone.
-- $1 received before, $2 at most so many.
-- Served by: deliveries_unmatched, then the primary key of deliveries.
DELETE FROM observability.deliveries WHERE delivery_id = ANY (ARRAY(
    SELECT d.delivery_id FROM observability.deliveries d
    WHERE d.state = 'unmatched' AND d.received_at < $1
    ORDER BY d.received_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
