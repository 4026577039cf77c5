-- Read what waits and what starts or runs, by tool.
-- No arguments. Index: jobs_waiting, attempts_leased (finalising jobs hold no slot).
SELECT t.name, t.paused,
       coalesce(w.waiting, 0) AS waiting, coalesce(r.running, 0) AS running
  FROM queue.tools t
  LEFT JOIN (SELECT j.tool, count(*) AS waiting
               FROM queue.jobs j WHERE j.waiting_seq IS NOT NULL GROUP BY j.tool) w
         ON w.tool = t.name
  LEFT JOIN (
    SELECT j.tool, count(*) AS running
      FROM (SELECT s.job_id FROM queue.slots s WHERE s.job_id IS NOT NULL
            UNION
            SELECT a.job_id FROM queue.attempts a
             WHERE a.lease_until IS NOT NULL AND a.phase = 'finalising') b
      JOIN queue.jobs j ON j.id = b.job_id
     GROUP BY j.tool) r ON r.tool = t.name
 ORDER BY t.name
