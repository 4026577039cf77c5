-- Read what a new job made from an old one needs.
-- $1 job id. Index: jobs_pkey, requests_pkey, submissions_pkey.
SELECT j.id, j.status, j.user_id, j.tool, j.variant, q.input_json, p.body AS submission
  FROM queue.jobs j
  JOIN queue.requests q ON q.job_id = j.id
  LEFT JOIN queue.submissions p ON p.job_id = j.id
 WHERE j.id = $1
