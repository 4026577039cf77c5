-- Match callbacks whose token nobody knew to attempts by their task id.
-- $1 at most so many. Index: callbacks_unmatched, attempts_by_task.
UPDATE queue.callbacks c SET job_id = m.job_id, attempt = m.number
  FROM (SELECT u.delivery_id, a.job_id, a.number
          FROM queue.callbacks u
          JOIN queue.attempts a ON a.task_id = u.task_id
         WHERE u.job_id IS NULL AND u.task_id <> ''
         LIMIT $1 FOR UPDATE OF u SKIP LOCKED) m
 WHERE c.delivery_id = m.delivery_id
RETURNING c.delivery_id, c.job_id, c.attempt, c.received_at, c.event, c.task_id, c.task_status,
          c.traceparent
