-- Adds the task of a job of the small benchmark.
-- $1 job_id
SELECT FROM graphile_worker.add_job('simple', json_build_object('jobId', $1::bigint));
