-- Make the rows of users not seen before.
-- $1 user ids, each once. Index: users_pkey.
INSERT INTO queue.users (user_id)
SELECT u FROM unnest($1::text[]) AS u ORDER BY u
ON CONFLICT DO NOTHING
