-- Keeps one of the eight records of the small benchmark.
-- $1 job_id, $2 place (1 to 8)
INSERT INTO bench.record (job_id, place) VALUES ($1::bigint, $2::smallint);
