-- Reads which jobs changed in transactions from a cursor on, those under way excepted (they stay
-- above the next cursor).
-- $1 cursor (a transaction id), $2 at most so many.
-- Served by: primary key of job_changes.
SELECT c.xid::text::bigint AS xid, changed.job_id
FROM observability.job_changes c CROSS JOIN LATERAL unnest(c.job_ids) AS changed (job_id)
WHERE c.xid >= $1::bigint::text::xid8
ORDER BY c.xid
LIMIT $2
