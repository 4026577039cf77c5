-- The ceiling's own tables: a job, its steps, its payloads.
-- Several statements, run as one script; no values.
CREATE TABLE jobs (
  id uuid PRIMARY KEY,
  status text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz
) WITH (fillfactor = 70);
CREATE TABLE steps (
  job_id uuid NOT NULL,
  seq int NOT NULL,
  step text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, seq)
);
CREATE TABLE payloads (
  job_id uuid NOT NULL,
  seq int NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (job_id, seq)
);
ALTER TABLE payloads ALTER COLUMN body SET STORAGE EXTERNAL;
