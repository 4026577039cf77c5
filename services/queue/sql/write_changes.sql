-- Write a batch of transitions: jobs, attempts, slots, ledger, balances, users, accounts and
-- outbox, all or nothing. The jobs (and the users whose money or count moves) are locked already;
-- status and attempt are compared all the same. Returns how many jobs and slots were written, whose
-- polls were taken (of those that want it, the ones that nobody is at), and whether jobs waited
-- while slots were freed.
--
-- Arrays of rows: $1 jobs, one row a job; $2 attempts that changed; $3 slots taken; $4 slots freed
-- (where that job holds them); $5 ledger entries; $6 balances, one row a user and bucket, by how
-- much each moves; $7 users, one row a user, by how much `active` moves; $8 what was learned of
-- accounts, one row an account; $9 submissions that came; $10 packs of events. $11 now.
-- $12 polling_until of the polls that are taken. $13 last place in the queue given out, where the gate
-- is held and some were; else NULL.
WITH job_rows AS (
  UPDATE queue.jobs j
     SET status = t.status, current_step = t.current_step, failed_at_step = t.failed_at_step,
         error_class = t.error_class, error_message = t.error_message, attempt = t.attempt,
         phase = t.phase, retries = t.retries, enqueue_seq = t.enqueue_seq,
         not_before = t.not_before, deadline_at = t.deadline_at,
         cancel_requested_at = t.cancel_requested_at, queued_at = t.queued_at,
         started_at = t.started_at, completed_at = t.completed_at, seq = t.seq,
         -- Where the job enters or leaves the line, indexes are written anyway.
         check_at = CASE WHEN t.deadline_at IS NULL OR t.status <> j.status
                           AND 'queued' IN (t.status, j.status) THEN t.deadline_at
                         ELSE least(j.check_at, t.deadline_at) END,
         charge = t.charge, submission_sha256 = t.submission_sha256,
         outputs = coalesce(t.outputs, j.outputs),
         instance_type = t.instance_type
    FROM unnest($1::queue.job_change[]) t
   WHERE j.id = t.id AND j.status = t.from_status AND j.attempt = t.from_attempt
  RETURNING j.id
), attempt_rows AS (
  INSERT INTO queue.attempts AS a (
         job_id, number, account, slot, phase, token_sha256, task_id, outcome, error_class,
         is_unknown, lease_until, next_poll_at, polls, poll_failures, poll_sha256,
         poll_payload_id, poll_repeats, callbacks, empty_successes, stop_asked_at, stop_for,
         traceparent, claimed_at, submitted_at, accepted_at, ended_at, results, coins, money,
         task_cost_time, callback_asked)
  SELECT t.job_id, t.number, t.account, t.slot, t.phase, t.token_sha256, t.task_id, t.outcome,
         t.error_class, t.is_unknown, t.lease_until, t.next_poll_at, t.polls, t.poll_failures,
         t.poll_sha256, t.poll_payload_id, t.poll_repeats, t.callbacks, t.empty_successes,
         t.stop_asked_at, t.stop_for, t.traceparent, t.claimed_at, t.submitted_at, t.accepted_at,
         t.ended_at, t.results, t.coins, t.money, t.task_cost_time, t.callback_asked
    FROM unnest($2::queue.attempt_change[]) t
  ON CONFLICT (job_id, number) DO UPDATE
     SET account = excluded.account, slot = excluded.slot, phase = excluded.phase,
         token_sha256 = excluded.token_sha256, task_id = excluded.task_id,
         outcome = excluded.outcome, error_class = excluded.error_class,
         is_unknown = excluded.is_unknown, lease_until = excluded.lease_until,
         next_poll_at = excluded.next_poll_at, polls = excluded.polls,
         poll_failures = excluded.poll_failures, poll_sha256 = excluded.poll_sha256,
         poll_payload_id = excluded.poll_payload_id, poll_repeats = excluded.poll_repeats,
         callbacks = excluded.callbacks, empty_successes = excluded.empty_successes,
         stop_asked_at = excluded.stop_asked_at, stop_for = excluded.stop_for,
         traceparent = excluded.traceparent, submitted_at = excluded.submitted_at,
         accepted_at = excluded.accepted_at, ended_at = excluded.ended_at,
         results = excluded.results, coins = excluded.coins, money = excluded.money,
         task_cost_time = excluded.task_cost_time, callback_asked = excluded.callback_asked,
         polling_until = CASE
           WHEN (a.job_id, a.number) IN
             (SELECT p.job_id, p.number
                FROM unnest($2::queue.attempt_change[]) p WHERE p.poll_done) THEN NULL
           WHEN (a.polling_until IS NULL OR a.polling_until <= $11::timestamptz)
             AND (a.job_id, a.number) IN
             (SELECT p.job_id, p.number
                FROM unnest($2::queue.attempt_change[]) p WHERE p.takes_poll)
             THEN $12::timestamptz
           ELSE a.polling_until END
  RETURNING a.job_id, a.polling_until
), taken AS (
  UPDATE queue.slots s SET job_id = t.job_id, attempt = t.attempt
    FROM unnest($3::queue.slots[]) t
   WHERE s.account = t.account AND s.slot = t.slot AND s.job_id IS NULL
  RETURNING s.slot
), freed AS (
  UPDATE queue.slots s SET job_id = NULL, attempt = NULL
    FROM unnest($4::queue.slots[]) t
   WHERE s.account = t.account AND s.slot = t.slot
     AND s.job_id = t.job_id AND s.attempt = t.attempt
), ledger_rows AS (
  INSERT INTO queue.ledger (entry_id, user_id, job_id, request_id, kind, bucket, amount, debit,
                            credit, created_at)
  SELECT t.entry_id, t.user_id, t.job_id, t.request_id, t.kind, t.bucket, t.amount, t.debit,
         t.credit, t.created_at
    FROM unnest($5::queue.ledger[]) t
), balance_rows AS (
  UPDATE queue.balances b
     SET available = b.available + t.available, reserved = b.reserved + t.reserved
    FROM unnest($6::queue.balances[]) t
   WHERE b.user_id = t.user_id AND b.bucket = t.bucket
), user_rows AS (
  UPDATE queue.users u SET active = u.active + t.active
    FROM unnest($7::queue.users[]) t
   WHERE u.user_id = t.user_id
), account_rows AS (
  UPDATE queue.accounts a
     SET health = t.health, last_error = t.words, health_changed_at = $11::timestamptz,
         strikes = CASE WHEN t.health = 'ok' THEN 0 ELSE least(a.strikes + 1, 20) END,
         rests_until = CASE WHEN t.health IN ('full', 'unreachable')
           THEN $11::timestamptz + make_interval(secs => t.rest_s * least(2 ^ a.strikes, 8)) END
    FROM unnest($8::queue.account_effect[]) t
   WHERE a.name = t.name
     AND (a.health IN ('full', 'unreachable') OR t.health <> 'ok')
     AND NOT (a.health IN ('unauthorized', 'no_money') AND t.health IN ('full', 'unreachable', 'ok'))
     AND NOT (a.health = t.health AND a.rests_until > $11::timestamptz)
), gate_row AS (
  UPDATE queue.gate SET enqueue_seq = $13::bigint WHERE $13::bigint IS NOT NULL
), submission_rows AS (
  INSERT INTO queue.submissions (job_id, webapp_id, body)
  SELECT t.job_id, t.webapp_id, t.body FROM unnest($9::queue.submissions[]) t
), outbox_rows AS (
  INSERT INTO queue.outbox (job_id, first_seq, events, body)
  SELECT t.job_id, t.first_seq, t.events, t.body FROM unnest($10::queue.pack[]) t
)
SELECT (SELECT count(*) FROM job_rows) AS jobs, (SELECT count(*) FROM taken) AS slots,
       ARRAY(SELECT job_id FROM attempt_rows WHERE polling_until = $12::timestamptz) AS polls,
       -- From the end of the index: at its head lie the entries of jobs that have left.
       coalesce(cardinality($4) > 0 AND (SELECT max(waiting_seq) FROM queue.jobs) IS NOT NULL, false)
         AS is_awaited
