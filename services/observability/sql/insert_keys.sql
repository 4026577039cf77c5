-- Makes jobs findable by ids.
-- $1 rows of keys, in order.
-- Served by: primary key of keys.
INSERT INTO observability.keys
SELECT given.* FROM unnest($1::observability.keys[]) AS given
ON CONFLICT DO NOTHING
