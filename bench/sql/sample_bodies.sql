-- Stored bodies, the first so many.
-- $1 how many.
SELECT encoding, body FROM observability.payloads WHERE body IS NOT NULL LIMIT $1
