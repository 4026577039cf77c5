-- Write a batch of transitions: jobs, attempts, slots, ledger, balances, users, accounts and
-- outbox, all or nothing. The jobs (and the users whose money or count moves) are locked already;
-- status and attempt are compared all the same. Returns how many jobs were written.
--
-- Jobs, one row a job:
-- $1 ids, $2 status before, $3 attempt before, $4 status, $5 current_step, $6 failed_at_step,
-- $7 error_class, $8 error_message, $9 attempt, $10 phase, $11 retries, $12 enqueue_seq,
-- $13 not_before, $14 deadline_at, $15 cancel_requested_at, $16 queued_at, $17 started_at,
-- $18 completed_at, $19 seq, $20 charge (JSON), $21 submission (JSON, NULL: as it is),
-- $22 submission_sha256, $23 outputs (JSON, NULL: as they are), $24 instance_type
-- Attempts, one row a changed attempt:
-- $25 job ids, $26 numbers, $27 accounts, $28 slots, $29 phases, $30 token_sha256, $31 task ids,
-- $32 outcomes, $33 error classes, $34 is_unknown, $35 lease_until, $36 next_poll_at, $37 polls,
-- $38 poll_failures, $39 poll_sha256, $40 poll_payload_id, $41 poll_repeats, $42 callbacks,
-- $43 empty_successes, $44 stop_asked_at, $45 stop_for, $46 traceparents, $47 claimed_at,
-- $48 submitted_at, $49 accepted_at, $50 ended_at, $51 results (JSON), $52 coins, $53 money,
-- $54 task_cost_time, $55 callback_asked, $56 poll_done
-- Slots: taken $57 accounts, $58 slots, $59 job ids, $60 attempts; freed $61 job ids, $62 attempts
-- Ledger: $63 entry ids, $64 user ids, $65 job ids, $66 request ids, $67 kinds, $68 buckets,
-- $69 amounts, $70 debits, $71 credits, $72 created_at
-- Balances, one row a user and bucket: $73 user ids, $74 buckets, $75 available by, $76 reserved by
-- Users, one row a user: $77 user ids, $78 active by
-- Accounts, one row an account: $79 names, $80 healths, $81 words, $82 first rest in seconds,
-- $83 now
-- Outbox: $84 job ids, $85 seq, $86 kinds, $87 attempts, $88 occurred_at, $89 bodies, $90 contents
WITH job_rows AS (
  UPDATE queue.jobs j
     SET status = t.status, current_step = t.current_step, failed_at_step = t.failed_at_step,
         error_class = t.error_class, error_message = t.error_message, attempt = t.attempt,
         phase = t.phase, retries = t.retries, enqueue_seq = t.enqueue_seq,
         not_before = t.not_before, deadline_at = t.deadline_at,
         cancel_requested_at = t.cancel_requested_at, queued_at = t.queued_at,
         started_at = t.started_at, completed_at = t.completed_at, seq = t.seq,
         charge = t.charge::jsonb, submission = coalesce(t.submission::jsonb, j.submission),
         submission_sha256 = t.submission_sha256, outputs = coalesce(t.outputs::jsonb, j.outputs),
         instance_type = t.instance_type
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::int[], $10::text[], $11::int[], $12::bigint[], $13::timestamptz[],
                $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[],
                $18::timestamptz[], $19::bigint[], $20::text[], $21::text[], $22::bytea[],
                $23::text[], $24::text[])
         AS t(id, from_status, from_attempt, status, current_step, failed_at_step, error_class,
              error_message, attempt, phase, retries, enqueue_seq, not_before, deadline_at,
              cancel_requested_at, queued_at, started_at, completed_at, seq, charge, submission,
              submission_sha256, outputs, instance_type)
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
         t.ended_at, t.results::jsonb, t.coins, t.money, t.task_cost_time, t.callback_asked
    FROM unnest($25::uuid[], $26::int[], $27::text[], $28::int[], $29::text[], $30::bytea[],
                $31::text[], $32::text[], $33::text[], $34::boolean[], $35::timestamptz[],
                $36::timestamptz[], $37::int[], $38::int[], $39::bytea[], $40::uuid[], $41::int[],
                $42::int[], $43::int[], $44::timestamptz[], $45::text[], $46::text[],
                $47::timestamptz[], $48::timestamptz[], $49::timestamptz[], $50::timestamptz[],
                $51::text[], $52::text[], $53::text[], $54::text[], $55::boolean[])
         AS t(job_id, number, account, slot, phase, token_sha256, task_id, outcome, error_class,
              is_unknown, lease_until, next_poll_at, polls, poll_failures, poll_sha256,
              poll_payload_id, poll_repeats, callbacks, empty_successes, stop_asked_at, stop_for,
              traceparent, claimed_at, submitted_at, accepted_at, ended_at, results, coins, money,
              task_cost_time, callback_asked)
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
         polling_until = CASE WHEN (a.job_id, a.number) IN
             (SELECT p.job_id, p.number
                FROM unnest($25::uuid[], $26::int[], $56::boolean[]) AS p(job_id, number, done)
               WHERE p.done) THEN NULL ELSE a.polling_until END
), taken AS (
  UPDATE queue.slots s SET job_id = t.job_id, attempt = t.attempt
    FROM unnest($57::text[], $58::int[], $59::uuid[], $60::int[]) AS t(account, slot, job_id, attempt)
   WHERE s.account = t.account AND s.slot = t.slot AND s.job_id IS NULL
  RETURNING s.slot
), freed AS (
  UPDATE queue.slots s SET job_id = NULL, attempt = NULL
    FROM unnest($61::uuid[], $62::int[]) AS t(job_id, attempt)
   WHERE s.job_id = t.job_id AND s.attempt = t.attempt
), ledger_rows AS (
  INSERT INTO queue.ledger (entry_id, user_id, job_id, request_id, kind, bucket, amount, debit,
                            credit, created_at)
  SELECT * FROM unnest($63::uuid[], $64::text[], $65::uuid[], $66::text[], $67::text[], $68::text[],
                       $69::bigint[], $70::text[], $71::text[], $72::timestamptz[])
), balance_rows AS (
  UPDATE queue.balances b
     SET available = b.available + t.available, reserved = b.reserved + t.reserved
    FROM unnest($73::text[], $74::text[], $75::bigint[], $76::bigint[])
         AS t(user_id, bucket, available, reserved)
   WHERE b.user_id = t.user_id AND b.bucket = t.bucket
  RETURNING b.user_id
), user_rows AS (
  UPDATE queue.users u SET active = u.active + t.active
    FROM unnest($77::text[], $78::int[]) AS t(user_id, active)
   WHERE u.user_id = t.user_id
), account_rows AS (
  UPDATE queue.accounts a
     SET health = t.health, last_error = t.words, health_changed_at = $83::timestamptz,
         strikes = CASE WHEN t.health = 'ok' THEN 0 ELSE least(a.strikes + 1, 20) END,
         rests_until = CASE WHEN t.health IN ('full', 'unreachable')
           THEN $83::timestamptz + make_interval(secs => t.rest_s * least(2 ^ a.strikes, 8)) END
    FROM unnest($79::text[], $80::text[], $81::text[], $82::float8[])
         AS t(name, health, words, rest_s)
   WHERE a.name = t.name
     AND (a.health IN ('full', 'unreachable') OR t.health <> 'ok')
     AND NOT (a.health IN ('unauthorized', 'no_money') AND t.health IN ('full', 'unreachable', 'ok'))
     AND NOT (a.health = t.health AND a.rests_until > $83::timestamptz)
), outbox_rows AS (
  INSERT INTO queue.outbox (job_id, seq, kind, attempt, occurred_at, body, content)
  SELECT * FROM unnest($84::uuid[], $85::bigint[], $86::text[], $87::int[], $88::timestamptz[],
                       $89::text[], $90::bytea[])
)
SELECT (SELECT count(*) FROM job_rows) AS jobs, (SELECT count(*) FROM taken) AS slots,
       (SELECT count(*) FROM balance_rows) AS balances
