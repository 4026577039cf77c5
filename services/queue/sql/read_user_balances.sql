-- Read a user's balances, in the order in which buckets are spent.
-- $1 user id. Index: balances_pkey.
SELECT bucket, available, reserved FROM queue.balances WHERE user_id = $1 ORDER BY bucket DESC
