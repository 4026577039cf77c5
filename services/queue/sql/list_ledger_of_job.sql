-- List a job's ledger entries, newest first.
-- $1 only entry ids below, $2 at most so many, $3 user id (NULL: whoever), $4 job id.
-- Index: ledger_closed_once.
SELECT entry_id, user_id, job_id, request_id, kind, bucket, amount, created_at
  FROM queue.ledger WHERE job_id = $4 AND entry_id < $1 AND ($3::text IS NULL OR user_id = $3)
 ORDER BY entry_id DESC LIMIT $2
