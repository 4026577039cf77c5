-- Reads one callback as the gateway told it, whether a job claims it or not.
-- $1 delivery id.
-- Served by: primary key of deliveries.
SELECT frame, blob_sha256, info FROM observability.deliveries WHERE delivery_id = $1
