-- Stores callbacks as the gateway tells of them; one that is there already stays as it is.
-- $1 rows of deliveries, in order of delivery_id.
-- Served by: primary key of deliveries.
INSERT INTO observability.deliveries
SELECT given.* FROM unnest($1::observability.deliveries[]) AS given
ON CONFLICT DO NOTHING
