-- Bytes on disk: of the whole database, and of the payload store, which is payloads and deliveries
-- with their indexes and what else belongs to them.
-- No values.
SELECT pg_database_size(current_database()) AS database,
       (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
          JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE i.inhparent IN ('observability.payloads'::regclass,
                               'observability.deliveries'::regclass)) AS payloads
