-- Read accounts by name, with health and load. The key stays where it is.
-- $1 only these names (NULL: all). Index: none needed, both tables are small.
SELECT a.name, a.base_url, a.slots, a.paused, a.health, a.rests_until, a.last_error,
       a.health_changed_at, count(s.job_id) AS held,
       count(*) FILTER (WHERE t.phase IN ('claimed', 'submitting') AND NOT t.is_unknown) AS starting
  FROM queue.accounts a
  LEFT JOIN queue.slots s ON s.account = a.name AND s.job_id IS NOT NULL
  LEFT JOIN queue.attempts t ON t.job_id = s.job_id AND t.number = s.attempt
 WHERE $1::text[] IS NULL OR a.name = ANY($1)
 GROUP BY a.name
 ORDER BY a.name
