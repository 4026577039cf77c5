-- How many payloads are stored with their bytes.
-- No values.
SELECT count(*) FROM observability.payloads WHERE body IS NOT NULL
