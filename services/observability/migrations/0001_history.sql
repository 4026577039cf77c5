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

-- Ends the transaction of a batch that lost a race: who finds a projection at another revision than
-- it was read has to read again.
CREATE FUNCTION observability.check_written(written bigint, wanted bigint) RETURNS void
LANGUAGE plpgsql AS $function$
BEGIN
    IF written <> wanted THEN
        RAISE EXCEPTION USING
            ERRCODE = 'serialization_failure',
            MESSAGE = 'a projection was changed by another writer';
    END IF;
END
$function$;

CREATE INDEX jobs_by_user ON observability.jobs (user_id, job_id);
CREATE INDEX jobs_by_tool ON observability.jobs (tool, job_id);
CREATE INDEX jobs_by_phase ON observability.jobs (phase, job_id);
CREATE INDEX failed_jobs_by_step ON observability.jobs (failed_at_step, job_id)
    WHERE failed_at_step IS NOT NULL;
CREATE INDEX failed_jobs_by_class ON observability.jobs (error_class, job_id)
    WHERE error_class IS NOT NULL;

-- Texts that bodies are likely to have, by which frames are compressed. A frame names its dictionary
-- for ever: rows are added by migrations and never changed. LZ4 looks back 64 KiB at most.
CREATE TABLE observability.dictionaries (
    number integer PRIMARY KEY CHECK (number BETWEEN 1 AND 255),
    content bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 65536)
);

-- What happened, append-only: consecutive events of one job that came together and have one trace.
-- (job_id, seq of the event) is an event's identity. Chapters of a job never overlap: who writes one
-- moves the job's revision on in the same transaction. A chapter is folded whole or not at all.
CREATE TABLE observability.chapters (
    job_id uuid NOT NULL,
    -- Numbers of the first and the last event.
    seq bigint NOT NULL CHECK (seq >= 1),
    last_seq bigint NOT NULL,
    trace_id bytea CHECK (octet_length(trace_id) = 16),
    -- A letter an event: step, attempt, ledger, note, payload, repeat, outputs.
    kinds text NOT NULL,
    -- What SQL reads of them, see the view `steps`: [{"seq", "step" | "completes", "at", "details"}].
    -- Details that jsonb can't hold are {"_text": ...} here. It is made jsonb when somebody looks.
    steps json,
    -- RecordEventsRequest of the protos: the events whole and as they came, but for job, trace and
    -- payload bodies.
    body bytea NOT NULL,
    PRIMARY KEY (job_id, last_seq),
    CONSTRAINT one_letter_an_event CHECK (octet_length(kinds) = last_seq - seq + 1)
) PARTITION BY RANGE (job_id);

-- Bodies of calls to the provider and of its callbacks, each by the event that describes it. A row
-- with neither frame nor blob is a callback that the gateway tells of: see deliveries.
CREATE TABLE observability.payloads (
    job_id uuid NOT NULL,
    payload_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    last_repeat_at timestamptz,
    -- How often an equal one came; NULL for never.
    repeats integer CHECK (repeats >= 1),
    -- Which column of the tools' views shows this body: raw_api_response or raw_webhook_payload.
    shown_as text CHECK (shown_as IN ('reply', 'callback')),
    -- The body, compressed: see unframed().
    frame bytea CHECK (octet_length(frame) >= 1),
    blob_sha256 text CHECK (blob_sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (job_id, seq),
    CONSTRAINT body_is_in_one_place CHECK (frame IS NULL OR blob_sha256 IS NULL),
    CONSTRAINT repeated_iff_dated CHECK ((repeats IS NULL) = (last_repeat_at IS NULL))
) PARTITION BY RANGE (job_id);
-- Frames are compressed already.
ALTER TABLE observability.payloads ALTER frame SET STORAGE EXTERNAL;

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
    frame bytea CHECK (octet_length(frame) >= 1),
    blob_sha256 text CHECK (blob_sha256 ~ '^[0-9a-f]{64}$'),
    -- PayloadInfo as the gateway told it, but for the ids that are delivery_id; a frame as well.
    info bytea NOT NULL CHECK (octet_length(info) >= 1),
    CONSTRAINT body_is_in_one_place CHECK ((frame IS NULL) <> (blob_sha256 IS NULL))
) PARTITION BY RANGE (delivery_id);
ALTER TABLE observability.deliveries
    ALTER frame SET STORAGE EXTERNAL, ALTER info SET STORAGE EXTERNAL;

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
CREATE TABLE observability.chapters_default PARTITION OF observability.chapters DEFAULT;
CREATE TABLE observability.payloads_default PARTITION OF observability.payloads DEFAULT;
CREATE TABLE observability.keys_default PARTITION OF observability.keys DEFAULT;
CREATE TABLE observability.deliveries_default PARTITION OF observability.deliveries DEFAULT;
