-- Read the inputs of jobs that are about to be completed.
-- $1 job ids. Index: jobs_pkey.
SELECT id, input_json FROM queue.jobs WHERE id = ANY($1::uuid[])
