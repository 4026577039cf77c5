-- Take attempts about which the provider is to be asked now; one query in flight an attempt.
-- $1 now, $2 polling_until, $3 at most so many. Index: attempts_due.
UPDATE queue.attempts a SET polling_until = $2
 WHERE (a.job_id, a.number) IN (
   SELECT b.job_id, b.number FROM queue.attempts b
    WHERE b.next_poll_at <= $1 AND (b.polling_until IS NULL OR b.polling_until <= $1)
    ORDER BY b.next_poll_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING a.job_id, a.number
