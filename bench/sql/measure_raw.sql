-- Bytes of all bodies in the payload store as they came, reckoned from samples of both tables.
-- $1 how many are taken of each.
SELECT sum(of_table.count * of_table.average) AS raw
  FROM (
    SELECT (SELECT count(*) FROM observability.payloads WHERE frame IS NOT NULL) AS count,
           avg(octet_length(observability.unframed(p.frame))) AS average
      FROM (SELECT frame FROM observability.payloads WHERE frame IS NOT NULL LIMIT $1) AS p
    UNION ALL
    SELECT (SELECT count(*) FROM observability.deliveries WHERE frame IS NOT NULL),
           avg(octet_length(observability.unframed(d.frame)))
      FROM (SELECT frame FROM observability.deliveries WHERE frame IS NOT NULL LIMIT $1) AS d
  ) AS of_table
