-- Read what is needed to call the provider for attempts just claimed or being finalised.
-- $1 job ids, $2 attempt numbers, side by side. Index: jobs_pkey,
-- submissions_pkey, attempts_pkey, callbacks_by_job.
SELECT j.id, a.number, j.tool, j.user_id, p.body AS submission, j.instance_type,
       j.traceparent, j.deadline_at, a.account, a.token_sha256, a.task_id, a.traceparent
         AS start_traceparent, a.results, a.stop_for, a.stop_asked_at, a.callbacks,
       a.accepted_at, c.base_url, c.api_key,
       coalesce((SELECT p.traceparent FROM queue.attempts p
                  WHERE p.job_id = a.job_id AND p.number = a.number - 1), '')
         AS previous_traceparent,
       coalesce((SELECT b.traceparent FROM queue.callbacks b
                  WHERE b.job_id = a.job_id AND b.attempt = a.number
                  ORDER BY b.received_at DESC LIMIT 1), '') AS callback_traceparent
  FROM unnest($1::uuid[], $2::int[]) AS w(job_id, number)
  JOIN queue.jobs j ON j.id = w.job_id
  JOIN queue.submissions p ON p.job_id = w.job_id
  JOIN queue.attempts a ON a.job_id = w.job_id AND a.number = w.number
  JOIN queue.accounts c ON c.name = a.account
