-- The tables of the hand-written part: one row a job, a step, a raw body; a record of "simple".
-- Append-only; a step's place in the job is part of its key, so none is there twice.
CREATE SCHEMA bench;
CREATE TABLE bench.job (
    job_id bigint PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE bench.step (
    job_id bigint NOT NULL,
    place smallint NOT NULL,
    name text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, place)
);
CREATE TABLE bench.payload (
    job_id bigint NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (job_id, kind)
);
CREATE TABLE bench.record (
    job_id bigint NOT NULL,
    place smallint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, place)
);
