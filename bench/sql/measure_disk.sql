-- Bytes on disk: of the whole database, of the payload store, and of the payloads' index entries.
-- No values.
SELECT pg_database_size(current_database()) AS database,
       (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
          JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE i.inhparent = 'observability.payloads'::regclass) AS payloads
