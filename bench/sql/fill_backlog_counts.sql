-- Bring users, balances and the gate in line with the waiting jobs: several statements, one script.
-- No values.
UPDATE queue.users u SET active = c.jobs
  FROM (SELECT user_id, count(*) AS jobs FROM queue.jobs WHERE completed_at IS NULL GROUP BY 1) c
 WHERE c.user_id = u.user_id;
UPDATE queue.balances b SET available = b.available + b.reserved - c.jobs, reserved = c.jobs
  FROM (SELECT user_id, sum(cost) AS jobs FROM queue.jobs WHERE completed_at IS NULL GROUP BY 1) c
 WHERE c.user_id = b.user_id AND b.bucket = 'lifetime';
UPDATE queue.gate SET enqueue_seq = (SELECT max(enqueue_seq) FROM queue.jobs);
UPDATE queue.tools SET paused = false;
