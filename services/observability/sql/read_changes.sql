-- Reads which jobs changed in transactions from a cursor on, those under way excepted (they stay
-- above the next cursor).
-- $1 cursor (a transaction id), $2 at most so many.
-- Served by: primary key of job_changes.
SELECT xid::text::bigint AS xid, job_id
FROM observability.job_changes
WHERE xid >= $1::bigint::text::xid8
ORDER BY xid
LIMIT $2
