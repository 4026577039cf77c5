-- Jobs that are not completed.
-- No values.
SELECT count(*) FROM queue.jobs WHERE status <> 'completed'
