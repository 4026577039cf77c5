-- Sets a delivery aside that a peer refused, so that it holds up no other.
-- $1 peer, $2 delivery id, $3 when to try it again.
-- Index: forwards_pkey.
UPDATE webhook.forwards
SET retry_at = $3, refusals = refusals + 1
WHERE peer = $1 AND delivery_id = $2
