-- Add a range of partitions.
-- $1 lowest id, $2 the id above the highest, $3 label.
INSERT INTO observability.ranges (low, high, label) VALUES ($1, $2, $3)
