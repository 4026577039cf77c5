-- Keeps a new job and its first four steps, in one statement.
-- $1 job_id
WITH job AS (
    INSERT INTO bench.job (job_id) VALUES ($1::bigint)
)
INSERT INTO bench.step (job_id, place, name)
VALUES
    ($1, 1, 'upload_received'),
    ($1, 2, 'inserted'),
    ($1, 3, 'credits_reserved'),
    ($1, 4, 'queued');
