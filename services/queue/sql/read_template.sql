-- Read what a new job made from an old one needs.
-- $1 job id. Index: jobs_pkey.
SELECT id, status, user_id, tool, variant, input_json, submission::text AS submission
  FROM queue.jobs WHERE id = $1
