-- Find files that an account still has.
-- $1 account, $2 digests, $3 now. Index: uploads_pkey.
SELECT sha256, file_name, download_url FROM queue.uploads
 WHERE account = $1 AND sha256 = ANY($2::text[]) AND expires_at > $3
