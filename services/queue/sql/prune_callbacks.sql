-- Delete callbacks that never found a job.
-- $1 received before, $2 at most so many. Index: callbacks_by_age.
DELETE FROM queue.callbacks WHERE delivery_id IN (
  SELECT c.delivery_id FROM queue.callbacks c
   WHERE c.job_id IS NULL AND c.received_at < $1
   ORDER BY c.received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
