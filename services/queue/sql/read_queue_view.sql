-- What the queue looks like to a job that joins it, under the gate.
-- $1 now, $2 global limit (0: none), $3 count waiting jobs up to here. Index: jobs_waiting, from its
-- end: at its head lie the entries of jobs that have left.
SELECT l.open AS slots_available, l.held AS global_running,
       (SELECT count(*) FROM (SELECT 1 FROM queue.jobs WHERE waiting_seq IS NOT NULL
                               ORDER BY waiting_seq DESC LIMIT $3) w) AS queue_length,
       ARRAY(SELECT t.name FROM queue.tools t WHERE t.paused) AS paused_tools
  FROM queue.total_load($1, $2) l
