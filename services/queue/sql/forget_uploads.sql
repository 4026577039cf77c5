-- Forget files that an account no longer has.
-- $1 account, $2 digests. Index: uploads_pkey.
DELETE FROM queue.uploads WHERE account = $1 AND sha256 = ANY($2::text[])
