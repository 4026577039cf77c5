-- The queue's own tables. Constraints carry the promises, so that a bug cannot write nonsense.

-- One row. Whoever gives out places in the queue or takes jobs out of it holds it first, so that
-- enqueue_seq follows commit order and a claim sees no gap that is filled later.
CREATE TABLE queue.gate (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  enqueue_seq bigint NOT NULL DEFAULT 0
);
INSERT INTO queue.gate DEFAULT VALUES;

CREATE TABLE queue.tools (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
  view text NOT NULL UNIQUE,
  label_pt text NOT NULL,
  label_en text NOT NULL,
  output_kind text NOT NULL,
  upload_s double precision NOT NULL CHECK (upload_s > 0),
  queue_wait_s double precision NOT NULL CHECK (queue_wait_s > 0),
  start_s double precision NOT NULL CHECK (start_s > 0),
  run_s double precision NOT NULL CHECK (run_s > 0),
  finalise_s double precision NOT NULL CHECK (finalise_s > 0),
  -- Moving average of how long the provider takes, for progress estimates and
  -- for knowing when a run is late; NULL before the first.
  typical_run_s double precision CHECK (typical_run_s >= 0),
  paused boolean NOT NULL DEFAULT false
);

CREATE TABLE queue.prices (
  tool text NOT NULL REFERENCES queue.tools,
  variant text NOT NULL,
  credits bigint NOT NULL CHECK (credits >= 0),
  PRIMARY KEY (tool, variant)
);

CREATE TABLE queue.accounts (
  name text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
  base_url text NOT NULL,
  api_key text NOT NULL,
  slots int NOT NULL CHECK (slots BETWEEN 0 AND 1000),
  paused boolean NOT NULL DEFAULT false,
  health text NOT NULL DEFAULT 'ok'
    CHECK (health IN ('ok', 'full', 'unreachable', 'unauthorized', 'no_money')),
  -- Until when a full or unreachable account rests; then one job probes it.
  rests_until timestamptz,
  -- How often in a row it was full or unreachable; sets the length of the next rest.
  strikes int NOT NULL DEFAULT 0,
  last_error text NOT NULL DEFAULT '',
  health_changed_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((rests_until IS NOT NULL) = (health IN ('full', 'unreachable')))
);

-- A user's row is the lock under which their active jobs and balances change.
CREATE TABLE queue.users (
  user_id text PRIMARY KEY CHECK (length(user_id) BETWEEN 1 AND 128),
  active int NOT NULL DEFAULT 0 CHECK (active >= 0)
);

CREATE TABLE queue.balances (
  user_id text NOT NULL REFERENCES queue.users,
  bucket text NOT NULL CHECK (bucket IN ('monthly', 'lifetime')),
  available bigint NOT NULL DEFAULT 0 CHECK (available >= 0),
  reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  PRIMARY KEY (user_id, bucket)
);

-- The state of jobs: narrow, for each transition writes a new version of the row. Most touch no
-- index, so that Postgres keeps the version on the same page and enters it in none (HOT). What is
-- written once lies in queue.requests and queue.submissions.
CREATE TABLE queue.jobs (
  id uuid PRIMARY KEY,
  user_id text NOT NULL REFERENCES queue.users,
  tool text NOT NULL REFERENCES queue.tools,
  variant text NOT NULL,
  cost bigint NOT NULL CHECK (cost >= 0),
  traceparent text NOT NULL,
  created_at timestamptz NOT NULL,
  submission_sha256 bytea CHECK (length(submission_sha256) = 32),
  -- What was reserved, as {"bucket": credits}; NULL before.
  charge jsonb,
  status text NOT NULL CHECK (status IN
    ('pending', 'queued', 'starting', 'running', 'completed', 'failed', 'cancelled')),
  current_step text NOT NULL CHECK (current_step IN
    ('upload', 'insert', 'credits', 'queue_check', 'queued', 'starting', 'running',
     'webhook_received', 'completed', 'failed', 'cancelled')),
  failed_at_step text CHECK (failed_at_step IN
    ('upload', 'credits', 'queued', 'starting', 'running', 'webhook_received')),
  error_class text NOT NULL DEFAULT '',
  error_message text NOT NULL DEFAULT '',
  -- The current attempt; 0 before the first. Its phase is repeated here from queue.attempts.
  attempt int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  phase text CHECK (phase IN
    ('claimed', 'submitting', 'accepted', 'finalising', 'waiting', 'ended')),
  -- The job's place, given once and kept, and the same while the job waits there.
  enqueue_seq bigint,
  waiting_seq bigint GENERATED ALWAYS AS
    (CASE WHEN status = 'queued' THEN enqueue_seq END) STORED,
  -- Automatic new attempts made so far.
  retries int NOT NULL DEFAULT 0 CHECK (retries >= 0),
  -- Machine for the next attempt, where a retry wants another; '' as submitted.
  instance_type text NOT NULL DEFAULT '',
  -- A queued job is not claimed before.
  not_before timestamptz,
  -- When the current phase's time is up, and an earlier moment at which the sweeper looks whether
  -- it is: later deadlines then need no new index entry. NULL when final, both.
  deadline_at timestamptz,
  check_at timestamptz,
  cancel_requested_at timestamptz,
  queued_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  outputs jsonb NOT NULL DEFAULT '[]',
  -- Number of the last event.
  seq bigint NOT NULL CHECK (seq >= 1),
  CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
  CHECK ((deadline_at IS NULL) = (status IN ('completed', 'failed', 'cancelled'))),
  CHECK ((check_at IS NULL) = (deadline_at IS NULL) AND check_at <= deadline_at),
  CHECK ((failed_at_step IS NOT NULL) = (status = 'failed')),
  CHECK ((error_class <> '') = (status = 'failed')),
  CHECK (status NOT IN ('queued', 'starting', 'running')
         OR (enqueue_seq IS NOT NULL AND submission_sha256 IS NOT NULL AND charge IS NOT NULL)),
  CHECK (status <> 'queued' OR phase IS NULL OR phase IN ('waiting', 'ended')),
  CHECK (status <> 'starting' OR phase IN ('claimed', 'submitting')),
  CHECK (status <> 'running' OR phase IN ('accepted', 'finalising')),
  CHECK (status <> 'completed' OR jsonb_array_length(outputs) > 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0,
        toast_tuple_target = 8160);

CREATE UNIQUE INDEX jobs_waiting ON queue.jobs (waiting_seq) WHERE waiting_seq IS NOT NULL;
CREATE INDEX jobs_to_check ON queue.jobs (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX jobs_by_user ON queue.jobs (user_id, id DESC);
CREATE INDEX jobs_active_by_user ON queue.jobs (user_id) WHERE completed_at IS NULL;
CREATE INDEX jobs_finished ON queue.jobs (completed_at) WHERE completed_at IS NOT NULL;

-- What a job was made from: written with it, never changed, and pruned with it.
CREATE TABLE queue.requests (
  job_id uuid PRIMARY KEY,
  caller text NOT NULL,
  user_id text NOT NULL,
  request_id text NOT NULL,
  params_sha256 bytea NOT NULL CHECK (length(params_sha256) = 32),
  input_json text NOT NULL,
  retry_of uuid,
  UNIQUE (caller, user_id, request_id)
) WITH (toast_tuple_target = 8160);

-- What the provider is to be asked for: written when a job is complete, never changed, and pruned
-- with it.
CREATE TABLE queue.submissions (
  job_id uuid PRIMARY KEY,
  webapp_id text NOT NULL,
  body json NOT NULL
) WITH (toast_tuple_target = 8160);

-- One row per attempt, never erased by the next one.
CREATE TABLE queue.attempts (
  job_id uuid NOT NULL REFERENCES queue.jobs ON DELETE CASCADE,
  number int NOT NULL CHECK (number >= 1),
  account text NOT NULL REFERENCES queue.accounts,
  slot int NOT NULL,
  phase text NOT NULL CHECK (phase IN
    ('claimed', 'submitting', 'accepted', 'finalising', 'waiting', 'ended')),
  -- SHA-256 of the token in the callback URL of this attempt's last claim.
  token_sha256 bytea NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
  task_id text NOT NULL DEFAULT '',
  outcome text NOT NULL DEFAULT '' CHECK (outcome IN
    ('', 'succeeded', 'failed', 'cancelled', 'refused', 'abandoned', 'unknown')),
  error_class text NOT NULL DEFAULT '',
  -- True once a start call may have arrived and no reply is known.
  is_unknown boolean NOT NULL DEFAULT false,
  -- Whoever works on it renews this; after it anyone may take over.
  lease_until timestamptz,
  -- When the provider is to be asked next; NULL when it is not.
  next_poll_at timestamptz,
  -- Set while a query is in flight: no second one.
  polling_until timestamptz,
  polls int NOT NULL DEFAULT 0,
  poll_failures int NOT NULL DEFAULT 0,
  -- The last poll's answer, to count equal ones instead of storing them.
  poll_sha256 bytea,
  poll_payload_id uuid,
  poll_repeats int NOT NULL DEFAULT 0,
  -- Whether the start call named a URL of ours to call back, and how often it was called.
  callback_asked boolean NOT NULL DEFAULT false,
  callbacks int NOT NULL DEFAULT 0,
  empty_successes int NOT NULL DEFAULT 0,
  -- When we asked the provider to stop, and whether the user or a deadline wanted it.
  stop_asked_at timestamptz,
  stop_for text NOT NULL DEFAULT '' CHECK (stop_for IN ('', 'cancel', 'timeout')),
  -- traceparent of the start call, for the callback's span.
  traceparent text NOT NULL DEFAULT '',
  claimed_at timestamptz NOT NULL,
  submitted_at timestamptz,
  accepted_at timestamptz,
  ended_at timestamptz,
  -- What the provider said of a verified success: outputs still to be saved.
  results json,
  coins text NOT NULL DEFAULT '',
  money text NOT NULL DEFAULT '',
  task_cost_time text NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, number),
  CHECK ((outcome <> '') = (phase = 'ended')),
  CHECK (phase NOT IN ('accepted', 'finalising') OR task_id <> ''),
  CHECK (NOT is_unknown OR phase IN ('submitting', 'ended'))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX attempts_due ON queue.attempts (next_poll_at) WHERE next_poll_at IS NOT NULL;
CREATE INDEX attempts_leased ON queue.attempts (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX attempts_by_task ON queue.attempts (task_id) WHERE task_id <> '';
CREATE INDEX attempts_ended ON queue.attempts (ended_at) WHERE ended_at IS NOT NULL;

-- One row per slot of an account. At most one attempt holds it, and no attempt holds two. A slot
-- beyond the account's number is never offered: shrinking an account needs no word with whoever
-- is just giving such a slot back.
CREATE TABLE queue.slots (
  account text NOT NULL REFERENCES queue.accounts,
  slot int NOT NULL CHECK (slot >= 1),
  job_id uuid,
  attempt int,
  PRIMARY KEY (account, slot),
  FOREIGN KEY (job_id, attempt) REFERENCES queue.attempts (job_id, number),
  CHECK ((job_id IS NULL) = (attempt IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX slots_held ON queue.slots (job_id, attempt) WHERE job_id IS NOT NULL;

-- Double entry: each row takes `amount` from one book account and gives it to another.
CREATE TABLE queue.ledger (
  entry_id uuid PRIMARY KEY,
  user_id text NOT NULL REFERENCES queue.users,
  job_id uuid,
  request_id text,
  kind text NOT NULL,
  bucket text NOT NULL CHECK (bucket IN ('monthly', 'lifetime')),
  amount bigint NOT NULL CHECK (amount > 0),
  debit text NOT NULL,
  credit text NOT NULL,
  created_at timestamptz NOT NULL,
  CHECK ((kind, debit, credit) IN
    (('grant', 'issuance', 'available'), ('reserve', 'available', 'reserved'),
     ('capture', 'reserved', 'revenue'), ('refund', 'reserved', 'available'))),
  CHECK ((kind = 'grant') = (job_id IS NULL)),
  CHECK ((kind = 'grant') = (request_id IS NOT NULL))
);
-- A charge is reserved once a bucket, and closed exactly once, captured or refunded.
CREATE UNIQUE INDEX ledger_closed_once ON queue.ledger (job_id, bucket, (kind = 'reserve'))
  WHERE job_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_granted_once ON queue.ledger (user_id, request_id)
  WHERE request_id IS NOT NULL;
CREATE INDEX ledger_by_user ON queue.ledger (user_id, entry_id DESC);

-- Callbacks reported by the gateway, so that each is counted once, and matched later if need be.
CREATE TABLE queue.callbacks (
  delivery_id uuid PRIMARY KEY,
  token_sha256 bytea NOT NULL,
  body_sha256 bytea NOT NULL,
  received_at timestamptz NOT NULL,
  event text NOT NULL,
  task_id text NOT NULL,
  task_status text NOT NULL,
  has_output boolean NOT NULL,
  traceparent text NOT NULL,
  job_id uuid REFERENCES queue.jobs ON DELETE CASCADE,
  attempt int
);
CREATE INDEX callbacks_unmatched ON queue.callbacks (task_id) WHERE job_id IS NULL;
CREATE INDEX callbacks_by_job ON queue.callbacks (job_id, attempt) WHERE job_id IS NOT NULL;
CREATE INDEX callbacks_by_age ON queue.callbacks (received_at) WHERE job_id IS NULL;

-- What an account already has of our media, for less than its life there.
CREATE TABLE queue.uploads (
  account text NOT NULL REFERENCES queue.accounts,
  sha256 text NOT NULL,
  file_name text NOT NULL,
  download_url text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (account, sha256)
);
CREATE INDEX uploads_expiry ON queue.uploads (expires_at);

-- Events on their way to observability, a pack for each change. Deleted when acknowledged. Packs lie
-- in the row itself and uncompressed: they live for milliseconds.
CREATE TABLE queue.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id uuid NOT NULL,
  first_seq bigint NOT NULL CHECK (first_seq >= 1),
  events int NOT NULL CHECK (events >= 1),
  -- A serialised etapa.observability.v1.RecordEventsRequest with `events` alone;
  -- scripts/show_outbox.py prints what waits.
  body bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, toast_tuple_target = 8160);
ALTER TABLE queue.outbox ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX outbox_once ON queue.outbox (job_id, first_seq);

-- Events that could not be told as they are: a defect of ours each, kept to be counted and mended.
CREATE TABLE queue.rejected_events (
  job_id uuid NOT NULL,
  seq bigint NOT NULL,
  kind text NOT NULL,
  body text NOT NULL,
  why text NOT NULL,
  rejected_at timestamptz NOT NULL,
  PRIMARY KEY (job_id, seq)
);
CREATE INDEX rejected_events_age ON queue.rejected_events (rejected_at);

-- Rows as write_changes.sql takes them, where they are not a table's own. A type is never altered:
-- open connections know it as it was. Whoever needs another makes one of another name.
CREATE TYPE queue.new_job AS (
  id uuid, caller text, request_id text, user_id text, tool text, variant text,
  params_sha256 bytea, input_json text, cost bigint, retry_of uuid, traceparent text,
  created_at timestamptz, status text, current_step text, failed_at_step text, error_class text,
  error_message text, attempt int, phase text, enqueue_seq bigint, deadline_at timestamptz,
  queued_at timestamptz, started_at timestamptz, completed_at timestamptz, seq bigint,
  charge jsonb, submission_sha256 bytea
);
-- `outputs` is NULL where they stay as they are.
CREATE TYPE queue.job_change AS (
  id uuid, from_status text, from_attempt int, status text, current_step text,
  failed_at_step text, error_class text, error_message text, attempt int, phase text, retries int,
  enqueue_seq bigint, not_before timestamptz, deadline_at timestamptz,
  cancel_requested_at timestamptz, queued_at timestamptz, started_at timestamptz,
  completed_at timestamptz, seq bigint, charge jsonb, submission_sha256 bytea, outputs jsonb, instance_type text
);
-- `poll_done`: the query that was in flight has ended; `takes_poll`: one is to begin.
CREATE TYPE queue.attempt_change AS (
  job_id uuid, number int, account text, slot int, phase text, token_sha256 bytea, task_id text,
  outcome text, error_class text, is_unknown boolean, lease_until timestamptz,
  next_poll_at timestamptz, polls int, poll_failures int, poll_sha256 bytea, poll_payload_id uuid,
  poll_repeats int, callbacks int, empty_successes int, stop_asked_at timestamptz, stop_for text,
  traceparent text, claimed_at timestamptz, submitted_at timestamptz, accepted_at timestamptz,
  ended_at timestamptz, results json, coins text, money text, task_cost_time text,
  callback_asked boolean, poll_done boolean, takes_poll boolean
);
-- `rest_s` is the first rest in seconds; it doubles.
CREATE TYPE queue.account_effect AS (name text, health text, words text, rest_s float8);
CREATE TYPE queue.pack AS (job_id uuid, first_seq bigint, events int, body bytea);

-- The other half of the claim rule: jobs that a claim may take, in any order. Inlined by the
-- planner, so that indexes on queue.jobs serve what is asked of it.
CREATE FUNCTION queue.eligible_jobs(now_at timestamptz)
RETURNS SETOF queue.jobs LANGUAGE sql STABLE AS $$
  SELECT j.* FROM queue.jobs j
   WHERE j.waiting_seq IS NOT NULL AND (j.not_before IS NULL OR j.not_before <= now_at)
     -- Not by NOT EXISTS: of few tools, the planner then expects hardly a job to be eligible, and
     -- reads the whole line and sorts it to find the first ones.
     AND j.tool NOT IN (SELECT t.name FROM queue.tools t WHERE t.paused)
$$;

-- The claim rule, in one place: how many slots of each account are held, and how many of them a claim
-- may take now. A resting account that may be probed offers one, and none while its probe is under
-- way; held slots beyond a shrunk account's number count against it.
CREATE FUNCTION queue.account_loads(now_at timestamptz)
RETURNS TABLE (account text, slots int, held bigint, open bigint) LANGUAGE sql STABLE AS $$
  SELECT a.name, a.slots, s.held,
         least(s.free, greatest(a.slots - s.held, 0),
               CASE WHEN a.paused THEN 0
                    WHEN a.health = 'ok' THEN NULL
                    WHEN a.health IN ('full', 'unreachable') AND a.rests_until <= now_at
                         AND NOT EXISTS (
                           SELECT 1 FROM queue.slots p
                             JOIN queue.attempts t ON t.job_id = p.job_id AND t.number = p.attempt
                            WHERE p.account = a.name AND t.phase IN ('claimed', 'submitting')
                              AND NOT t.is_unknown) THEN 1
                    ELSE 0 END)
    FROM queue.accounts a
   CROSS JOIN LATERAL (
     SELECT count(l.job_id) AS held,
            count(*) FILTER (WHERE l.job_id IS NULL AND l.slot <= a.slots) AS free
       FROM queue.slots l WHERE l.account = a.name) s
$$;

-- The same in total, within the global limit (0: none).
CREATE FUNCTION queue.total_load(now_at timestamptz, global_limit int)
RETURNS TABLE (held bigint, open bigint) LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(l.held), 0)::bigint,
         coalesce(least(sum(l.open), CASE WHEN global_limit > 0
                                          THEN greatest(global_limit - sum(l.held), 0) END),
                  0)::bigint
    FROM queue.account_loads(now_at) l
$$;

-- The slots that a claim of up to `most` jobs (NULL: of any number) may take, fairest account first.
CREATE FUNCTION queue.open_slots(now_at timestamptz, global_limit int, most int)
RETURNS TABLE (account text, slot int, place bigint) LANGUAGE sql STABLE AS $$
  WITH load AS MATERIALIZED (
    SELECT * FROM queue.account_loads(now_at)
  ), ranked AS (
    SELECT l.account, f.slot,
           row_number() OVER (
             ORDER BY (l.held + f.nth)::float8 / greatest(l.slots, 1), l.account) AS place
      FROM load l
     CROSS JOIN LATERAL (
       SELECT s.slot, row_number() OVER (ORDER BY s.slot) AS nth
         FROM queue.slots s
        WHERE s.account = l.account AND s.job_id IS NULL AND s.slot <= l.slots
        ORDER BY s.slot LIMIT least(l.open, most)) f
  )
  SELECT r.account, r.slot, r.place
    FROM ranked r
   WHERE global_limit = 0 OR r.place <= global_limit - (SELECT sum(held) FROM load)
$$;
