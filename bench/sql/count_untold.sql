-- What observability has not acknowledged yet, counted up to a bound: a pack leaves the outbox,
-- and a callback arrivals or forwards, after observability has committed it. Zero: every trail is
-- whole.
-- No values.
SELECT (SELECT count(*) FROM (SELECT FROM queue.outbox LIMIT 5000) o)
     + (SELECT count(*) FROM (SELECT FROM webhook.arrivals LIMIT 5000) a)
     + (SELECT count(*) FROM (SELECT FROM webhook.forwards LIMIT 5000) f)
