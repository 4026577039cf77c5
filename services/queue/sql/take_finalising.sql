-- Take over outputs that nobody is saving, verified successes and late ones alike.
-- $1 now, $2 new lease_until, $3 at most so many. Index: attempts_leased.
UPDATE queue.attempts a SET lease_until = $2
 WHERE (a.job_id, a.number) IN (
   SELECT b.job_id, b.number FROM queue.attempts b
    WHERE b.lease_until <= $1 AND b.results IS NOT NULL AND b.phase IN ('finalising', 'ended')
    ORDER BY b.lease_until LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING a.job_id, a.number
