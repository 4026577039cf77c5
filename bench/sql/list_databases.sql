-- Databases whose names begin so.
-- $1 the beginning.
SELECT datname FROM pg_database WHERE starts_with(datname, $1)
