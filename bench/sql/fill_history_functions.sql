-- A UUIDv7 for the n-th of many jobs that are spread evenly over a span of time.
-- No values. The function lives as long as the session.
CREATE FUNCTION pg_temp.job_id(n bigint, jobs bigint, span_ms bigint, first_ms bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(first_ms + n * span_ms / jobs), 12, '0') || '7000' || '8'
      || lpad(to_hex(n), 15, '0'))::uuid
$$
