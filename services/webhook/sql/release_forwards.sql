-- Makes due at once what was held for a peer.
-- $1 peer, $2 delivery ids.
-- Index: forwards_pkey.
UPDATE webhook.forwards
SET retry_at = '-infinity'
WHERE peer = $1 AND delivery_id = ANY ($2::uuid[])
