-- Which job changed in which transaction: what a feed reads to learn what is new. Old rows are
-- deleted; feed_floor remembers up to where.
CREATE TABLE observability.job_changes (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    job_id uuid NOT NULL,
    PRIMARY KEY (xid, job_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 1
);

-- Changes of transactions below xid are no longer kept.
CREATE TABLE observability.feed_floor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    xid xid8 NOT NULL
);
INSERT INTO observability.feed_floor (xid) VALUES ('0');
