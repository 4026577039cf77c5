-- Reads where a feed stands: every transaction below `cursor` is visible or rolled back; changes
-- below `floor` are no longer kept; `next` is beyond all transactions so far.
SELECT
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS cursor,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next,
    (SELECT xid FROM observability.feed_floor)::text::bigint AS floor
