-- Every callback to the byte, from its arrival until both peers acknowledged it, is a row of
-- `arrivals` or of `inbox`; nowhere else are unmasked bytes. Rows are inserted once and deleted
-- once, never updated, so a mark costs no copy of a body.

-- What could not be told from memory, because a peer was away, refused it or did not keep up, or
-- because a gateway was killed. `forwards` says which peer is still to hear of it.
CREATE TABLE webhook.inbox (
    delivery_id  uuid PRIMARY KEY,
    token_hash   bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    -- the request target as it came, the token in it replaced by stars of the same length
    target       bytea NOT NULL,
    -- `Name: value` lines ended by CRLF, in order, bytes as they came
    headers      bytea NOT NULL,
    -- the body; of an oversized one its beginning
    body         bytea NOT NULL,
    -- how many bytes of the body were seen
    body_bytes   bigint NOT NULL,
    is_too_large boolean NOT NULL,
    received_at  timestamptz NOT NULL,
    -- W3C context of the HTTP span
    traceparent  text NOT NULL,
    CONSTRAINT body_is_whole CHECK (is_too_large OR octet_length(body) = body_bytes)
) WITH (
    -- A body of a few KB stays in its row: a row lives for milliseconds, a trip to the TOAST
    -- table would cost two more inserts and two more deletes.
    toast_tuple_target = 8160,
    -- Hot: as many rows die as are born.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
);
-- Compressing what is deleted in milliseconds is wasted work.
ALTER TABLE webhook.inbox ALTER COLUMN body SET STORAGE EXTERNAL;

-- The plain course: what both peers are still to hear of from the memory of the gateway that took
-- it. One row and one index entry are all that a callback costs then.
CREATE TABLE webhook.arrivals (
    LIKE webhook.inbox INCLUDING CONSTRAINTS INCLUDING STORAGE,
    -- until then it is due to nobody else; after that it moves to the inbox
    held_until timestamptz NOT NULL,
    PRIMARY KEY (delivery_id)
) WITH (
    toast_tuple_target = 8160,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
);

-- What is still to be forwarded, one row a delivery and peer; its absence is the done mark.
-- Apart from the inbox, so that the peers' loops lock different rows and never wait for each
-- other. No foreign key: both tables are written by the same statement, and its check would
-- cost as much as the insert.
CREATE TABLE webhook.forwards (
    peer        text NOT NULL CHECK (peer IN ('observability', 'queue')),
    delivery_id uuid NOT NULL,
    -- bytes of the inbox row, for batches of bounded size
    size_bytes  int NOT NULL,
    -- set aside until then, after the peer refused this one delivery
    retry_at    timestamptz NOT NULL DEFAULT '-infinity',
    refusals    int NOT NULL DEFAULT 0,
    PRIMARY KEY (peer, delivery_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);
