-- Read what a transition may need of jobs that are locked already.
-- $1 job ids. Index: jobs_pkey, attempts_pkey.
SELECT j.id, j.tool, j.variant, j.user_id, j.cost, j.traceparent, j.created_at, j.status,
       j.current_step, j.seq, j.failed_at_step, j.error_class, j.error_message, j.attempt,
       j.retries, j.enqueue_seq, j.not_before, j.deadline_at, j.cancel_requested_at, j.queued_at,
       j.started_at, j.completed_at, j.charge::text AS charge, j.submission_sha256,
       j.instance_type, j.outputs <> '[]'::jsonb AS has_outputs,
       t.upload_s, t.queue_wait_s, t.start_s, t.run_s, t.finalise_s, t.typical_run_s,
       a.number, a.account, a.slot, a.phase, a.token_sha256, a.task_id, a.outcome,
       a.error_class AS attempt_error_class, a.is_unknown, a.lease_until, a.next_poll_at, a.polls,
       a.poll_failures, a.poll_sha256, a.poll_payload_id, a.poll_repeats, a.callbacks,
       a.empty_successes, a.stop_asked_at, a.stop_for, a.traceparent AS attempt_traceparent,
       a.claimed_at, a.submitted_at, a.accepted_at, a.ended_at, a.results,
       a.coins, a.money, a.task_cost_time, a.callback_asked
  FROM queue.jobs j
  JOIN queue.tools t ON t.name = j.tool
  LEFT JOIN queue.attempts a ON a.job_id = j.id AND a.number = j.attempt
 WHERE j.id = ANY($1::uuid[])
