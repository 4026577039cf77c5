-- Insert admitted jobs in their first state; their events and counts follow by write_changes.
-- $1 ids, $2 callers, $3 request ids, $4 user ids, $5 tools, $6 variants, $7 params_sha256,
-- $8 input_json, $9 costs, $10 retry_of, $11 traceparents, $12 created_at, $13 deadline_at, $14 seq.
INSERT INTO queue.jobs (id, caller, request_id, user_id, tool, variant, params_sha256, input_json,
                        cost, retry_of, traceparent, created_at, deadline_at, seq, status,
                        current_step)
SELECT t.id, t.caller, t.request_id, t.user_id, t.tool, t.variant, t.params_sha256, t.input_json,
       t.cost, t.retry_of, t.traceparent, t.created_at, t.deadline_at, t.seq, 'pending', 'upload'
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
              $8::text[], $9::bigint[], $10::uuid[], $11::text[], $12::timestamptz[],
              $13::timestamptz[], $14::bigint[])
       AS t(id, caller, request_id, user_id, tool, variant, params_sha256, input_json, cost,
            retry_of, traceparent, created_at, deadline_at, seq)
