-- The beginning of the first range of partitions.
-- No values.
SELECT low FROM observability.ranges ORDER BY low LIMIT 1
