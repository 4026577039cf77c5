-- Pair the jobs that wait longest with the slots that are open, under the gate.
-- $1 now, $2 at most so many, $3 global limit (0: none). Index: jobs_waiting.
WITH slots AS MATERIALIZED (
  SELECT o.account, o.slot, row_number() OVER (ORDER BY o.place) AS place
    FROM queue.open_slots($1, $3) o
   ORDER BY o.place
   LIMIT $2
), jobs AS MATERIALIZED (
  SELECT q.id, q.webapp_id, row_number() OVER (ORDER BY q.enqueue_seq) AS place
    FROM (SELECT j.id, j.enqueue_seq, j.submission ->> 'webapp_id' AS webapp_id
            FROM queue.eligible_jobs($1) j
           ORDER BY j.enqueue_seq
           LIMIT (SELECT count(*) FROM slots)) q
)
SELECT j.id, j.webapp_id, s.account, s.slot
  FROM jobs j JOIN slots s USING (place)
 ORDER BY place
