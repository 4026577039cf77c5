-- A database of that name.
-- $1 its name.
SELECT FROM pg_database WHERE datname = $1
