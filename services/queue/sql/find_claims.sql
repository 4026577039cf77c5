-- Pair the jobs that wait longest with the slots that are open, under the gate, and read what their
-- starts need. An attempt that waits goes on; of any other the next one follows.
-- $1 now, $2 at most so many, $3 global limit (0: none). Index: jobs_waiting,
-- submissions_pkey, attempts_pkey.
WITH slots AS MATERIALIZED (
  SELECT o.account, o.slot, row_number() OVER (ORDER BY o.place) AS place
    FROM queue.open_slots($1, $3, $2) o
   ORDER BY o.place
   LIMIT $2
), jobs AS MATERIALIZED (
  SELECT q.id, q.attempt - (q.phase IS NOT DISTINCT FROM 'waiting')::int AS previous,
         row_number() OVER (ORDER BY q.waiting_seq) AS place
    FROM (SELECT j.id, j.attempt, j.phase, j.waiting_seq
            FROM queue.eligible_jobs($1) j
           ORDER BY j.waiting_seq
           LIMIT (SELECT count(*) FROM slots)) q
)
SELECT j.id, s.account, s.slot, a.base_url, a.api_key,
       (SELECT p.body FROM queue.submissions p WHERE p.job_id = j.id) AS submission,
       coalesce((SELECT t.traceparent FROM queue.attempts t
                  WHERE t.job_id = j.id AND t.number = j.previous), '') AS previous_traceparent
  FROM jobs j JOIN slots s USING (place) JOIN queue.accounts a ON a.name = s.account
 ORDER BY place
