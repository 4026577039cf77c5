-- Keep reported callbacks, each once, matched to the attempt whose token they carry.
-- $1 delivery ids, $2 token_sha256, $3 body_sha256, $4 received_at, $5 events, $6 task ids,
-- $7 task statuses, $8 has_output, $9 traceparents. Index: attempts_token_sha256_key.
WITH reported AS (
  SELECT t.*, a.job_id, a.number
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::timestamptz[], $5::text[], $6::text[],
                $7::text[], $8::boolean[], $9::text[])
         AS t(delivery_id, token_sha256, body_sha256, received_at, event, task_id, task_status,
              has_output, traceparent)
    LEFT JOIN queue.attempts a ON a.token_sha256 = t.token_sha256
), known AS (
  SELECT r.delivery_id, EXISTS (
           SELECT 1 FROM queue.callbacks c
            WHERE c.job_id = r.job_id AND c.attempt = r.number AND c.body_sha256 = r.body_sha256)
         AS is_repeat
    FROM reported r
), kept AS (
  INSERT INTO queue.callbacks (delivery_id, token_sha256, body_sha256, received_at, event, task_id,
                               task_status, has_output, traceparent, job_id, attempt)
  SELECT r.delivery_id, r.token_sha256, r.body_sha256, r.received_at, r.event, r.task_id,
         r.task_status, r.has_output, r.traceparent, r.job_id, r.number
    FROM reported r
  ON CONFLICT (delivery_id) DO NOTHING
  RETURNING delivery_id
)
SELECT r.delivery_id, r.job_id, r.number, k.is_repeat,
       r.delivery_id IN (SELECT delivery_id FROM kept) AS is_new
  FROM reported r JOIN known k USING (delivery_id)
