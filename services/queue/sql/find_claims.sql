-- Pair the jobs that wait longest with the slots that are open, under the gate.
-- $1 now, $2 at most so many, $3 global limit (0: none). Index: jobs_waiting,
-- submissions_pkey.
WITH slots AS MATERIALIZED (
  SELECT o.account, o.slot, row_number() OVER (ORDER BY o.place) AS place
    FROM queue.open_slots($1, $3, $2) o
   ORDER BY o.place
   LIMIT $2
), jobs AS MATERIALIZED (
  SELECT q.id, row_number() OVER (ORDER BY q.waiting_seq) AS place
    FROM (SELECT j.id, j.waiting_seq
            FROM queue.eligible_jobs($1) j
           ORDER BY j.waiting_seq
           LIMIT (SELECT count(*) FROM slots)) q
)
SELECT j.id, (SELECT p.webapp_id FROM queue.submissions p WHERE p.job_id = j.id) AS webapp_id,
       s.account, s.slot
  FROM jobs j JOIN slots s USING (place)
 ORDER BY place
