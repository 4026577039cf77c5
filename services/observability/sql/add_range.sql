-- Adds a range of time; harmless where another replica was first.
-- $1 low, $2 high (exclusive), $3 label.
-- Served by: primary key of ranges.
INSERT INTO observability.ranges (low, high, label) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
