-- Delete finished jobs whose whole story observability has; attempts and callbacks go with them.
-- $1 finished before, $2 at most so many. Index: jobs_finished, outbox_once, requests_pkey,
-- submissions_pkey.
WITH gone AS (
  DELETE FROM queue.jobs WHERE id IN (
    SELECT j.id FROM queue.jobs j
     WHERE j.completed_at < $1
       AND NOT EXISTS (SELECT 1 FROM queue.outbox o WHERE o.job_id = j.id)
       AND NOT EXISTS (SELECT 1 FROM queue.slots s WHERE s.job_id = j.id)
     ORDER BY j.completed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
  RETURNING id
), requests AS (
  DELETE FROM queue.requests q USING gone g WHERE q.job_id = g.id
), submissions AS (
  DELETE FROM queue.submissions p USING gone g WHERE p.job_id = g.id
)
SELECT count(*) FROM gone
