-- Keeps the last step and the query's body, if the reply of the start call is kept already;
-- else no row: the callback overtook that commit. Served by the key of bench.step.
-- $1 job_id, $2 body
WITH started AS (
    SELECT job_id FROM bench.step WHERE job_id = $1::bigint AND place = 6
), payload AS (
    INSERT INTO bench.payload (job_id, kind, body) SELECT job_id, 'query', $2::bytea FROM started
)
INSERT INTO bench.step (job_id, place, name) SELECT job_id, 8, 'completed' FROM started;
