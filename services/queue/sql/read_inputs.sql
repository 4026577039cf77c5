-- Read the inputs of jobs that are about to be completed.
-- $1 job ids. Index: requests_pkey.
SELECT job_id, input_json FROM queue.requests WHERE job_id = ANY($1::uuid[])
