-- Packs of events that observability has not acknowledged yet, counted up to a bound.
-- No values.
SELECT count(*) FROM (SELECT FROM queue.outbox LIMIT 5000) o
