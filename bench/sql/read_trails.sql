-- Every completed job with what observability holds of it.
-- No values.
WITH finished AS (
  SELECT id, seq FROM queue.jobs WHERE status = 'completed'
), steps AS (
  SELECT e.job_id, array_agg(e.step ORDER BY e.seq) AS steps
    FROM observability.steps e JOIN finished f ON f.id = e.job_id
   WHERE e.step IS NOT NULL GROUP BY e.job_id
), bodies AS (
  SELECT p.job_id, count(*) AS payloads,
         count(*) FILTER (WHERE coalesce(p.frame, d.frame) IS NULL
           AND coalesce(p.blob_sha256, d.blob_sha256) IS NULL) AS awaited
    FROM observability.payloads p JOIN finished f ON f.id = p.job_id
    LEFT JOIN observability.deliveries d
      ON d.delivery_id = p.payload_id AND p.frame IS NULL AND p.blob_sha256 IS NULL
   GROUP BY p.job_id
)
SELECT f.id, f.seq, j.through_seq, j.status, s.steps, b.payloads, b.awaited
  FROM finished f
  LEFT JOIN observability.jobs j ON j.job_id = f.id
  LEFT JOIN steps s ON s.job_id = f.id
  LEFT JOIN bodies b ON b.job_id = f.id
