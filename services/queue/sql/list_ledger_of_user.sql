-- List a user's ledger entries, newest first.
-- $1 only entry ids below, $2 at most so many, $3 user id. Index: ledger_by_user.
SELECT entry_id, user_id, job_id, request_id, kind, bucket, amount, created_at
  FROM queue.ledger WHERE user_id = $3 AND entry_id < $1
 ORDER BY entry_id DESC LIMIT $2
