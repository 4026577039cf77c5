-- Stores events; returns the identities of those that were not there yet.
-- $1 job_id, $2 seq, $3 attempt, $4 occurred_at, $5 kind, $6 step or NULL, $7 details (jsonb text)
-- or NULL, $8 trace id (16 bytes) or NULL, $9 body; in order of (job_id, seq), so that concurrent
-- writers wait for one another instead of for ever.
-- Served by: primary key of events.
INSERT INTO observability.events
    (job_id, seq, attempt, occurred_at, kind, step, details, trace_id, body)
SELECT e.job_id, e.seq, e.attempt, e.occurred_at, e.kind, e.step, e.details::jsonb, e.trace_id, e.body
FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::timestamptz[], $5::text[], $6::text[],
        $7::text[], $8::bytea[], $9::bytea[])
    AS e (job_id, seq, attempt, occurred_at, kind, step, details, trace_id, body)
ON CONFLICT (job_id, seq) DO NOTHING
RETURNING job_id, seq
