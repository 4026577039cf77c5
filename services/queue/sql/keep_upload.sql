-- Remember an upload; a newer one lives longer.
-- $1 account, $2 digest, $3 file name at the provider, $4 download URL, $5 expires_at.
-- Index: uploads_pkey.
INSERT INTO queue.uploads (account, sha256, file_name, download_url, expires_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account, sha256) DO UPDATE
   SET file_name = excluded.file_name, download_url = excluded.download_url,
       expires_at = excluded.expires_at
