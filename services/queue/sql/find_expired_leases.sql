-- Find starts whose worker fell silent.
-- $1 now, $2 at most so many. Index: attempts_leased.
SELECT job_id, number FROM queue.attempts
 WHERE lease_until <= $1 AND phase IN ('claimed', 'submitting')
 ORDER BY lease_until LIMIT $2
