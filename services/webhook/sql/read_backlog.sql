-- Answers whether the database can be read, for the health check: how much waits for each peer,
-- counted to a bound.
-- $1 the bound.
-- Index: forwards_pkey, arrivals_pkey.
SELECT peer, least($1, (
    SELECT count(*)
    FROM (SELECT FROM webhook.forwards f WHERE f.peer = peers.peer LIMIT $1) AS counted
) + (
    SELECT count(*) FROM (SELECT FROM webhook.arrivals LIMIT $1) AS counted
)) AS waiting
FROM (VALUES ('observability'), ('queue')) AS peers (peer)
