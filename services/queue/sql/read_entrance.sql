-- Read what jobs that join the queue meet, under the gate, their users locked: the queue, the
-- balances, and, where no job waits, slots that may be taken at once, fairest account first.
-- $1 now, $2 global limit (0: none), $3 count waiting jobs up to here, $4 at most so many slots,
-- $5 user ids. Index: balances_pkey, slots_pkey, and jobs_waiting from its end: at its head lie the
-- entries of jobs that have left.
SELECT l.open AS slots_available, l.held AS global_running,
       (SELECT count(*) FROM (SELECT 1 FROM queue.jobs WHERE waiting_seq IS NOT NULL
                               ORDER BY waiting_seq DESC LIMIT $3) w) AS queue_length,
       ARRAY(SELECT t.name FROM queue.tools t WHERE t.paused) AS paused_tools,
       ARRAY(SELECT ROW(b.user_id, b.bucket, b.available)
               FROM queue.balances b WHERE b.user_id = ANY($5::text[])) AS balances,
       ARRAY(SELECT ROW(o.account, o.slot, a.base_url, a.api_key)
               FROM queue.open_slots($1, $2, $4) o JOIN queue.accounts a ON a.name = o.account
              WHERE (SELECT max(waiting_seq) FROM queue.jobs) IS NULL
              ORDER BY o.place LIMIT $4) AS slots
  FROM queue.total_load($1, $2) l
