-- Find jobs made by earlier calls with the same request ids.
-- $1 callers, $2 user ids, $3 request ids, side by side. Index: requests_caller_user_id_request_id_key.
SELECT q.job_id, q.caller, q.user_id, q.request_id, q.params_sha256
  FROM unnest($1::text[], $2::text[], $3::text[]) AS r(caller, user_id, request_id)
  JOIN queue.requests q USING (caller, user_id, request_id)
