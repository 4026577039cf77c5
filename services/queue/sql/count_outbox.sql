-- Count events that wait for observability, and those that it could not take.
-- $1 count up to here. Index: outbox_pkey; queue.rejected_events is empty but for defects.
SELECT (SELECT count(*) FROM (SELECT 1 FROM queue.outbox LIMIT $1) o) AS waiting,
       (SELECT count(*) FROM queue.rejected_events) AS rejected
