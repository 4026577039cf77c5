-- Notes for the feeds which jobs this transaction changes.
-- $1 job ids.
INSERT INTO observability.job_changes (job_ids) VALUES ($1)
