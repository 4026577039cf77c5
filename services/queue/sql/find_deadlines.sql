-- Find jobs whose phase has run out of time; those that have more by now are looked at again then.
-- $1 now, $2 at most so many. Index: jobs_to_check.
WITH due AS (
  SELECT id, deadline_at FROM queue.jobs
   WHERE check_at <= $1 ORDER BY check_at LIMIT $2 FOR UPDATE SKIP LOCKED
), later AS (
  UPDATE queue.jobs j SET check_at = d.deadline_at
    FROM due d WHERE j.id = d.id AND d.deadline_at > $1
)
SELECT id FROM due WHERE deadline_at <= $1
