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

-- Bodies of calls to the provider and of its callbacks. The description is the event's body.
CREATE TABLE observability.payloads (
    job_id uuid NOT NULL,
    payload_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    encoding text NOT NULL CHECK (encoding IN ('plain', 'zstd', 'blob', 'awaited')),
    body bytea,
    blob_sha256 text CHECK (blob_sha256 ~ '^[0-9a-f]{64}$'),
    -- PayloadInfo as the gateway told it, where it replaces the event's.
    info bytea,
    repeats integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    last_repeat_at timestamptz,
    -- Copies for the views: of a reply that decided, and of a callback.
    raw_api_response jsonb,
    raw_webhook_payload jsonb,
    PRIMARY KEY (job_id, payload_id),
    CONSTRAINT body_is_where_encoding_says CHECK (
        (encoding IN ('plain', 'zstd')) = (body IS NOT NULL)
        AND (encoding = 'blob') = (blob_sha256 IS NOT NULL)),
    CONSTRAINT repeated_iff_dated CHECK ((repeats > 0) = (last_repeat_at IS NOT NULL)),
    CONSTRAINT copied_once CHECK (raw_api_response IS NULL OR raw_webhook_payload IS NULL)
) PARTITION BY RANGE (job_id);

-- zstd has been over the body already.
ALTER TABLE observability.payloads ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE observability.payloads ALTER COLUMN raw_api_response SET STORAGE MAIN;
ALTER TABLE observability.payloads ALTER COLUMN raw_webhook_payload SET STORAGE MAIN;
CREATE INDEX payloads_by_seq ON observability.payloads (job_id, seq)
    WHERE raw_api_response IS NOT NULL OR raw_webhook_payload IS NOT NULL
        OR info IS NOT NULL OR repeats > 0;

-- Ids by which a job is found: the first 16 bytes of the SHA-256 of the id's text.
CREATE TABLE observability.keys (
    key bytea NOT NULL CHECK (octet_length(key) = 16),
    job_id uuid NOT NULL,
    kind text NOT NULL CHECK (
        kind IN ('task_id', 'trace_id', 'delivery_id', 'request_id', 'output_url')),
    PRIMARY KEY (key, job_id, kind)
) PARTITION BY RANGE (job_id);

-- Callbacks as the gateway received them. The gateway's news and the job's event about a callback
-- meet in this row, in either order; then the bytes move to the job's payloads and the row stays
-- as a trace, so that a repeated delivery is known.
CREATE TABLE observability.deliveries (
    delivery_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('unmatched', 'awaited', 'moved')),
    received_at timestamptz NOT NULL,
    job_id uuid,
    encoding text CHECK (encoding IN ('plain', 'zstd', 'blob')),
    body bytea,
    blob_sha256 text CHECK (blob_sha256 ~ '^[0-9a-f]{64}$'),
    info bytea,
    raw_webhook_payload jsonb,
    CONSTRAINT job_is_known_unless_unmatched CHECK ((state = 'unmatched') = (job_id IS NULL)),
    CONSTRAINT content_is_here_while_unmatched CHECK (
        (state = 'unmatched') = (encoding IS NOT NULL)
        AND (state = 'unmatched') = (info IS NOT NULL)
        AND (encoding IS NULL) = (body IS NULL AND blob_sha256 IS NULL))
) PARTITION BY RANGE (delivery_id);

ALTER TABLE observability.deliveries ALTER COLUMN body SET STORAGE EXTERNAL;

-- Rows whose time is outside all ranges made so far. Kept near empty: making a range moves its
-- rows out of here.
CREATE TABLE observability.jobs_default PARTITION OF observability.jobs DEFAULT;
CREATE TABLE observability.events_default PARTITION OF observability.events DEFAULT;
CREATE TABLE observability.payloads_default PARTITION OF observability.payloads DEFAULT;
CREATE TABLE observability.keys_default PARTITION OF observability.keys DEFAULT;
CREATE TABLE observability.deliveries_default PARTITION OF observability.deliveries DEFAULT;
