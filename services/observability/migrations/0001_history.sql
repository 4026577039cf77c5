-- The history of jobs. Every table of it has job_id in its keys and is partitioned by it: ids are
-- UUIDv7, so one job lies whole in one partition and retention drops partitions. There are no
-- foreign keys between them: all rows of a batch are written in one transaction by one writer,
-- and a key check per row costs more than the row.

-- One row a job: its events folded up to through_seq, the last number before the first gap.
-- A row without status stands for a job whose first event has not arrived yet.
CREATE TABLE observability.jobs (
    job_id uuid PRIMARY KEY,
    -- Counts the writes, so that two writers can't fold from the same state.
    revision bigint NOT NULL CHECK (revision >= 1),
    through_seq bigint NOT NULL CHECK (through_seq >= 0),
    max_seq bigint NOT NULL,
    tool text NOT NULL,
    variant text NOT NULL,
    user_id text NOT NULL,
    caller text NOT NULL,
    request_id text NOT NULL,
    retry_of text NOT NULL,
    cost bigint NOT NULL CHECK (cost >= 0),
    input_json text NOT NULL,
    trace_id bytea,
    status text CHECK (
        status IN ('pending', 'queued', 'starting', 'running', 'completed', 'failed', 'cancelled')),
    -- Status in coarse, so that an index by it is touched three times in a job's life.
    phase text CHECK (phase IN ('waiting', 'busy', 'completed', 'failed', 'cancelled')),
    current_step text CHECK (
        current_step IN ('upload', 'insert', 'credits', 'queue_check', 'queued', 'starting',
            'running', 'webhook_received', 'completed', 'failed', 'cancelled')),
    failed_at_step text CHECK (
        failed_at_step IN ('upload', 'insert', 'credits', 'queue_check', 'queued', 'starting',
            'running', 'webhook_received')),
    error_class text,
    error_message text,
    evidence_payload_id text,
    evidence_path text,
    created_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    attempt integer NOT NULL,
    account text NOT NULL,
    task_id text NOT NULL,
    output_url text,
    -- OutputsEvent of the protos: all outputs, in the provider's order.
    outputs bytea,
    step_count integer NOT NULL,
    note_count integer NOT NULL,
    payload_count integer NOT NULL,
    CONSTRAINT seq_order CHECK (max_seq >= through_seq AND max_seq >= 1),
    CONSTRAINT known_once_first_event_is_in CHECK (
        (through_seq = 0) = (status IS NULL) AND (status IS NULL) = (current_step IS NULL)
        AND (status IS NULL) = (created_at IS NULL)),
    CONSTRAINT phase_follows_status CHECK (
        phase IS NOT DISTINCT FROM CASE
            WHEN status IN ('pending', 'queued') THEN 'waiting'
            WHEN status IN ('starting', 'running') THEN 'busy'
            ELSE status END),
    CONSTRAINT completed_at_is_set_iff_final CHECK (
        (completed_at IS NOT NULL) = (coalesce(phase, '') IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT failure_is_set_iff_failed CHECK (
        (failed_at_step IS NOT NULL) = (coalesce(status, '') = 'failed')
        AND (failed_at_step IS NULL) = (error_class IS NULL)
        AND (failed_at_step IS NULL) = (error_message IS NULL)),
    CONSTRAINT output_url_needs_outputs CHECK (output_url IS NULL OR outputs IS NOT NULL)
) PARTITION BY RANGE (job_id);

-- What moves in a job's life; the rest of its row comes with its first event and stays.
CREATE TYPE observability.job_progress AS (
    job_id uuid,
    revision bigint,
    through_seq bigint,
    max_seq bigint,
    trace_id bytea,
    status text,
    phase text,
    current_step text,
    failed_at_step text,
    error_class text,
    error_message text,
    evidence_payload_id text,
    evidence_path text,
    created_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    attempt integer,
    account text,
    task_id text,
    output_url text,
    outputs bytea,
    step_count integer,
    note_count integer,
    payload_count integer
);

CREATE INDEX jobs_by_user ON observability.jobs (user_id, job_id);
CREATE INDEX jobs_by_tool ON observability.jobs (tool, job_id);
CREATE INDEX jobs_by_phase ON observability.jobs (phase, job_id);
CREATE INDEX failed_jobs_by_step ON observability.jobs (failed_at_step, job_id)
    WHERE failed_at_step IS NOT NULL;
CREATE INDEX failed_jobs_by_class ON observability.jobs (error_class, job_id)
    WHERE error_class IS NOT NULL;

-- What happened, append-only. (job_id, seq) is an event's identity.
CREATE TABLE observability.events (
    job_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    attempt integer NOT NULL CHECK (attempt >= 0),
    occurred_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (
        kind IN ('step', 'attempt', 'ledger', 'note', 'payload', 'repeat', 'outputs')),
    step text CHECK (
        step IN ('upload', 'insert', 'credits', 'queue_check', 'queued', 'starting',
            'running', 'webhook_received', 'completed', 'failed', 'cancelled')),
    -- The plan's detail keys of a step; details that jsonb can't hold are {"_text": ...} here and
    -- whole in body.
    details jsonb,
    trace_id bytea CHECK (octet_length(trace_id) = 16),
    -- The message of the kind (StepEvent, AttemptEvent, ...) without payload body and details.
    body bytea NOT NULL,
    PRIMARY KEY (job_id, seq),
    CONSTRAINT a_step_has_its_code CHECK (kind <> 'step' OR step IS NOT NULL),
    -- A note may complete the details of an earlier step.
    CONSTRAINT step_belongs CHECK (step IS NULL OR kind IN ('step', 'note')),
    CONSTRAINT details_belong_to_steps CHECK (details IS NULL OR step IS NOT NULL)
) PARTITION BY RANGE (job_id);

-- Bodies of calls to the provider and of its callbacks, each by the event that describes it.
CREATE TABLE observability.payloads (
    job_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    payload_id uuid NOT NULL,
    -- Where the bytes are; `delivery`: in deliveries, once the gateway has told of payload_id.
    encoding text NOT NULL CHECK (encoding IN ('plain', 'zstd', 'blob', 'delivery')),
    -- The column of the tools' views that shows this body. It is plain then, which SQL can read.
    shown_as text CHECK (shown_as IN ('raw_api_response', 'raw_webhook_payload')),
    body bytea,
    blob_sha256 text CHECK (blob_sha256 ~ '^[0-9a-f]{64}$'),
    repeats integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    last_repeat_at timestamptz,
    PRIMARY KEY (job_id, seq),
    CONSTRAINT body_is_where_encoding_says CHECK (
        (encoding IN ('plain', 'zstd')) = (body IS NOT NULL)
        AND (encoding = 'blob') = (blob_sha256 IS NOT NULL)),
    CONSTRAINT shown_bodies_are_readable CHECK (shown_as IS NULL OR encoding <> 'zstd'),
    CONSTRAINT repeated_iff_dated CHECK ((repeats > 0) = (last_repeat_at IS NOT NULL))
) PARTITION BY RANGE (job_id);

-- Ids by which a job is found: the first 16 bytes of the SHA-256 of the id's text.
CREATE TABLE observability.keys (
    key bytea NOT NULL CHECK (octet_length(key) = 16),
    job_id uuid NOT NULL,
    kind text NOT NULL CHECK (
        kind IN ('task_id', 'trace_id', 'delivery_id', 'request_id', 'output_url')),
    PRIMARY KEY (key, job_id, kind)
) PARTITION BY RANGE (job_id);

-- Callbacks as the gateway received them. The job's event about one names it by its id, so either
-- may come first, and neither waits for the other or writes the other's rows.
CREATE TABLE observability.deliveries (
    delivery_id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    encoding text NOT NULL CHECK (encoding IN ('plain', 'blob')),
    body bytea,
    blob_sha256 text CHECK (blob_sha256 ~ '^[0-9a-f]{64}$'),
    -- PayloadInfo as the gateway told it.
    info bytea NOT NULL,
    CONSTRAINT body_is_where_encoding_says CHECK (
        (encoding = 'plain') = (body IS NOT NULL) AND (encoding = 'blob') = (blob_sha256 IS NOT NULL))
) PARTITION BY RANGE (delivery_id);

-- Up to this callback it has been looked whether a job claims it: see forget_unmatched.sql.
CREATE TABLE observability.delivery_floor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    delivery_id uuid NOT NULL
);
INSERT INTO observability.delivery_floor (delivery_id)
VALUES ('00000000-0000-0000-0000-000000000000');

-- Rows whose time is outside all ranges made so far. Kept near empty: making a range moves its
-- rows out of here.
CREATE TABLE observability.jobs_default PARTITION OF observability.jobs DEFAULT;
CREATE TABLE observability.events_default PARTITION OF observability.events DEFAULT;
CREATE TABLE observability.payloads_default PARTITION OF observability.payloads DEFAULT;
CREATE TABLE observability.keys_default PARTITION OF observability.keys DEFAULT;
CREATE TABLE observability.deliveries_default PARTITION OF observability.deliveries DEFAULT;
