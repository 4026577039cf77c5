-- Lock jobs in the order of their ids, so that two batches cannot wait for each other.
-- $1 job ids. Index: jobs_pkey.
SELECT id FROM queue.jobs WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
