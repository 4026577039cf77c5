-- Write grants and raise the balances, all or nothing; the users are locked already.
-- Entries: $1 entry ids, $2 user ids, $3 request ids, $4 buckets, $5 amounts, $6 created_at.
-- Balances, one row a user and bucket: $7 user ids, $8 buckets, $9 available by.
WITH entries AS (
  INSERT INTO queue.ledger (entry_id, user_id, request_id, kind, bucket, amount, debit, credit,
                            created_at)
  SELECT e.entry_id, e.user_id, e.request_id, 'grant', e.bucket, e.amount, 'issuance', 'available',
         e.created_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
         AS e(entry_id, user_id, request_id, bucket, amount, created_at)
)
INSERT INTO queue.balances AS b (user_id, bucket, available)
SELECT * FROM unnest($7::text[], $8::text[], $9::bigint[])
ON CONFLICT (user_id, bucket) DO UPDATE SET available = b.available + excluded.available
