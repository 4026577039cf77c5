-- Reads the ranges of time that have partitions, oldest first. A few rows.
SELECT low, high, label FROM observability.ranges ORDER BY low
