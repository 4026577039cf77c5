-- Read what decides on new jobs: prices and time limits by variant, and jobs that earlier calls with
-- the same request ids made.
-- $1 tools, $2 variants, side by side. $3 callers, $4 user ids, $5 request ids, side by side.
-- Index: prices_pkey, requests_caller_user_id_request_id_key.
SELECT ARRAY(
         SELECT ROW(t.name, p.variant, p.credits, t.upload_s, t.queue_wait_s, t.start_s, t.run_s,
                    t.finalise_s)
           FROM unnest($1::text[], $2::text[]) AS r(tool, variant)
           JOIN queue.prices p ON p.tool = r.tool AND p.variant = r.variant
           JOIN queue.tools t ON t.name = p.tool) AS prices,
       ARRAY(
         SELECT ROW(q.caller, q.user_id, q.request_id, q.job_id, q.params_sha256)
           FROM unnest($3::text[], $4::text[], $5::text[]) AS r(caller, user_id, request_id)
           JOIN queue.requests q USING (caller, user_id, request_id)) AS known
