-- List ids of jobs that are not final, newest first.
-- $1 only ids below, $2 tool (NULL: all), $3 statuses, $4 at most so many.
-- Index: jobs_active_by_user, which holds the open jobs only; jobs_pkey where most are open.
SELECT id FROM queue.jobs
 WHERE completed_at IS NULL AND id < $1 AND ($2::text IS NULL OR tool = $2)
   AND status = ANY($3::text[])
 ORDER BY id DESC LIMIT $4
