-- Insert jobs of the ceiling.
-- $1 ids.
INSERT INTO jobs (id, status) SELECT unnest($1::uuid[]), 'running'
