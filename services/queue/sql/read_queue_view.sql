-- What the queue looks like to a job that joins it, under the gate.
-- $1 now, $2 global limit (0: none), $3 count waiting jobs up to here. Index: jobs_waiting.
SELECT (SELECT count(*) FROM queue.open_slots($1, $2)) AS slots_available,
       (SELECT count(*) FROM queue.slots WHERE job_id IS NOT NULL) AS global_running,
       (SELECT count(*) FROM (SELECT 1 FROM queue.jobs WHERE waiting_seq IS NOT NULL
                                LIMIT $3) w)
         AS queue_length
