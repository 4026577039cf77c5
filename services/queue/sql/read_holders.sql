-- Read which jobs hold slots, those longest at it first.
-- $1 at most so many. Index: attempts_pkey; queue.slots is small.
SELECT s.job_id, s.account
  FROM queue.slots s JOIN queue.attempts a ON a.job_id = s.job_id AND a.number = s.attempt
 ORDER BY a.claimed_at, s.job_id LIMIT $1
