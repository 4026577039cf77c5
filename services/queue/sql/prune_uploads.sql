-- Delete what accounts no longer have of our media.
-- $1 now, $2 at most so many. Index: uploads_expiry.
DELETE FROM queue.uploads WHERE (account, sha256) IN (
  SELECT u.account, u.sha256 FROM queue.uploads u
   WHERE u.expires_at < $1 ORDER BY u.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
