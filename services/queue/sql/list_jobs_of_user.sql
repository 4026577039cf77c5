-- List a user's job ids, newest first.
-- $1 only ids below, $2 tool (NULL: all), $3 statuses (NULL: all), $4 at most so many, $5 user id.
-- Index: jobs_by_user.
SELECT id FROM queue.jobs
 WHERE user_id = $5 AND id < $1 AND ($2::text IS NULL OR tool = $2)
   AND ($3::text[] IS NULL OR status = ANY($3))
 ORDER BY id DESC LIMIT $4
