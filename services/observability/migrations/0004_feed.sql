-- Which jobs changed in which transaction: what a feed reads to learn what is new. Old rows are
-- deleted; feed_floor remembers up to where.
CREATE TABLE observability.job_changes (
    xid xid8 PRIMARY KEY DEFAULT pg_current_xact_id(),
    job_ids uuid[] NOT NULL
);

-- Changes of transactions below xid are no longer kept.
CREATE TABLE observability.feed_floor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    xid xid8 NOT NULL
);
INSERT INTO observability.feed_floor (xid) VALUES ('0');
