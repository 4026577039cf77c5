-- Read balances of users that are locked already.
-- $1 user ids. Index: balances_pkey.
SELECT user_id, bucket, available, reserved FROM queue.balances WHERE user_id = ANY($1::text[])
