-- Lock users in the order of their ids: the lock of their active count and their balances.
-- $1 user ids. Index: users_pkey.
SELECT user_id, active FROM queue.users WHERE user_id = ANY($1::text[])
 ORDER BY user_id FOR UPDATE
