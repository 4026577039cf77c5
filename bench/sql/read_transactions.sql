-- How many transactions a database has seen.
-- $1 its name.
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1
