-- Keeps a batch of arrivals. May be repeated.
-- $1 the rows, as they are.
-- Index: arrivals_pkey, for the conflict.
INSERT INTO webhook.arrivals
SELECT t.* FROM unnest($1::webhook.arrivals[]) t
ON CONFLICT (delivery_id) DO NOTHING
