-- Keeps a step together with the raw body that it is about, in one statement.
-- $1 job_id, $2 place (1 to 8), $3 name, $4 kind of body, $5 body
WITH payload AS (
    INSERT INTO bench.payload (job_id, kind, body) VALUES ($1::bigint, $4::text, $5::bytea)
)
INSERT INTO bench.step (job_id, place, name) VALUES ($1, $2::smallint, $3::text);
