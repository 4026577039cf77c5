-- Count by account the attempts whose end a callback should have told, and how many of them none
-- has told to this day. An attempt that was overtaken doesn't count its own callbacks, so where its
-- row says 0 the callbacks themselves are asked.
-- $1 ended after, $2 ended at or before. Index: attempts_ended, callbacks_by_job.
SELECT a.account, count(*) AS ended_attempts,
       count(*) FILTER (WHERE a.callbacks = 0 AND NOT EXISTS (
         SELECT 1 FROM queue.callbacks c WHERE c.job_id = a.job_id AND c.attempt = a.number))
         AS without_callback
  FROM queue.attempts a
 WHERE a.callback_asked AND a.task_id <> '' AND a.outcome IN ('succeeded', 'failed')
   AND a.ended_at > $1 AND a.ended_at <= $2
 GROUP BY a.account
