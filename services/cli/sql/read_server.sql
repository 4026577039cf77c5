-- What must be known of a server before work is trusted to it, as one row of text columns:
-- version number, fsync, synchronous_commit of this session, is a database of that name there.
-- $1: name of the database to look for. Reads pg_database by its unique index on datname.
SELECT current_setting('server_version_num')::int AS version,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       EXISTS (SELECT FROM pg_database WHERE datname = $1) AS has_database
