-- Read why the claim rule has not taken a job: what holds it back, who is before it, what is open.
-- $1 job id, $2 now, $3 global limit (0: none), $4 count up to here.
-- Index: jobs_pkey, jobs_waiting.
SELECT j.status, j.tool, j.not_before, t.paused AS tool_paused,
       (SELECT count(*) FROM (SELECT 1 FROM queue.jobs q
                               WHERE q.waiting_seq <= j.waiting_seq
                               ORDER BY q.waiting_seq LIMIT $4::int) p) AS position,
       (SELECT count(*) FROM (SELECT 1 FROM queue.eligible_jobs($2) q
                               WHERE q.waiting_seq < j.waiting_seq LIMIT $4::int) p) AS ahead,
       (SELECT l.open FROM queue.total_load($2, $3) l) AS open_slots,
       (SELECT l.open FROM queue.total_load($2, 0) l) AS open_without_limit
  FROM queue.jobs j JOIN queue.tools t ON t.name = j.tool
 WHERE j.id = $1
