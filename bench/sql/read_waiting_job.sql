-- The one job that waits.
-- No values.
SELECT id FROM queue.jobs WHERE waiting_seq IS NOT NULL
