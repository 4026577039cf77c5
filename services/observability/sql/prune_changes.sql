-- Forgets changes of transactions below a cursor and remembers that.
-- $1 cursor (a transaction id).
-- Served by: primary key of job_changes.
WITH pruned AS (
    DELETE FROM observability.job_changes WHERE xid < $1::bigint::text::xid8
)
UPDATE observability.feed_floor SET xid = $1::bigint::text::xid8
WHERE xid < $1::bigint::text::xid8
