-- Find jobs made by earlier calls with the same request ids.
-- $1 callers, $2 user ids, $3 request ids, side by side. Index: jobs_caller_user_id_request_id_key.
SELECT j.id, j.caller, j.user_id, j.request_id, j.params_sha256
  FROM unnest($1::text[], $2::text[], $3::text[]) AS r(caller, user_id, request_id)
  JOIN queue.jobs j USING (caller, user_id, request_id)
