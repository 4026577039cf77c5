-- Delete events that were kept aside long enough to be looked at.
-- $1 rejected before, $2 at most so many. Index: rejected_events_age.
DELETE FROM queue.rejected_events WHERE (job_id, seq) IN (
  SELECT r.job_id, r.seq FROM queue.rejected_events r
   WHERE r.rejected_at < $1 ORDER BY r.rejected_at LIMIT $2 FOR UPDATE SKIP LOCKED)
