-- Find earlier grants under the same request ids, of users that are locked already.
-- $1 user ids, $2 request ids, side by side. Index: ledger_granted_once.
SELECT l.entry_id, l.user_id, l.request_id, l.bucket, l.amount, l.created_at
  FROM unnest($1::text[], $2::text[]) AS r(user_id, request_id)
  JOIN queue.ledger l USING (user_id, request_id)
