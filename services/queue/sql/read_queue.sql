-- Read what runs and what waits in total.
-- $1 now, $2 global limit (0: none). Index: jobs_waiting; queue.slots is small.
SELECT l.held AS running, l.open AS slots_available,
       (SELECT count(*) FROM queue.jobs WHERE waiting_seq IS NOT NULL) AS waiting,
       (SELECT array_agg(DISTINCT o.account) FROM queue.open_slots($1, $2, NULL) o) AS claimable,
       (SELECT j.queued_at FROM queue.jobs j WHERE j.waiting_seq IS NOT NULL
         ORDER BY j.waiting_seq LIMIT 1) AS oldest_queued_at
  FROM queue.total_load($1, $2) l
