-- Hints to other replicas that something is new. Sent outside the data's transactions: NOTIFY
-- takes a lock on the whole database at its commit.
-- $1 who sends.
SELECT pg_notify('etapa_observability', $1)
