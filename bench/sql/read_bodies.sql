-- The bodies of a job's payloads.
-- $1 job id. Index: payloads_pkey.
SELECT encoding, body FROM observability.payloads WHERE job_id = $1
