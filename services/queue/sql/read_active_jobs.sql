-- Read which active jobs users have, oldest first.
-- $1 user ids, $2 how many a user at the most. Index: jobs_active_by_user.
SELECT u.user_id, array(SELECT j.id FROM queue.jobs j
                         WHERE j.user_id = u.user_id AND j.completed_at IS NULL
                         ORDER BY j.id LIMIT $2) AS job_ids
  FROM unnest($1::text[]) AS u(user_id)
