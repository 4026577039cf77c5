-- The announced catalogue.
CREATE TABLE observability.tools (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9_]{1,40}$'),
    view text NOT NULL UNIQUE CHECK (view ~ '^[a-z][a-z0-9_]{0,59}$'),
    label_pt text NOT NULL,
    label_en text NOT NULL,
    -- ToolAnnouncement of the protos.
    announcement bytea NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT now()
);

-- What services read of a job: the projection and the name of its tool's view, in the order of the
-- fields of Projection; the phase, which follows from the status, comes last.
CREATE VIEW observability.job_summaries AS
SELECT
    j.job_id, j.revision, j.through_seq, j.max_seq, j.trace_id, j.status, j.current_step,
    j.failed_at_step, j.error_class, j.error_message, j.evidence_payload_id, j.evidence_path,
    j.created_at, j.started_at, j.completed_at, j.attempt, j.account, j.task_id, j.output_url,
    j.outputs, j.step_count, j.note_count, j.payload_count, j.tool,
    coalesce((SELECT t.view FROM observability.tools t WHERE t.name = j.tool), '') AS view,
    j.variant, j.user_id, j.caller, j.request_id, j.retry_of, j.cost, j.input_json, j.phase
FROM observability.jobs j;

-- The bytes of a frame: its first byte names the dictionary, 0 for none; see frame.py. What follows is
-- an LZ4 block, whose copies reach back into the dictionary.
CREATE FUNCTION observability.unframed(frame bytea) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $function$
DECLARE
    size integer := octet_length(frame);
    wanted integer;
    place integer := 4;
    made bytea;
    skipped integer;
    token integer;
    run integer;
    more integer;
    back integer;
    piece bytea;
BEGIN
    IF get_byte(frame, 0) = 0 THEN
        RETURN substr(frame, 2);
    END IF;
    SELECT content INTO STRICT made FROM observability.dictionaries
    WHERE number = get_byte(frame, 0);
    skipped := octet_length(made);
    wanted := get_byte(frame, 1) * 65536 + get_byte(frame, 2) * 256 + get_byte(frame, 3);
    LOOP
        token := get_byte(frame, place);
        place := place + 1;
        run := token >> 4;
        IF run = 15 THEN
            LOOP
                more := get_byte(frame, place);
                place := place + 1;
                run := run + more;
                EXIT WHEN more < 255;
            END LOOP;
        END IF;
        IF run > 0 THEN
            made := made || substr(frame, place + 1, run);
            place := place + run;
        END IF;
        EXIT WHEN place >= size;
        back := get_byte(frame, place) + 256 * get_byte(frame, place + 1);
        IF back = 0 THEN
            RAISE EXCEPTION 'a frame is damaged at byte %', place;
        END IF;
        place := place + 2;
        run := (token & 15) + 4;
        IF run = 19 THEN
            LOOP
                more := get_byte(frame, place);
                place := place + 1;
                run := run + more;
                EXIT WHEN more < 255;
            END LOOP;
        END IF;
        piece := substr(made, octet_length(made) - back + 1, run);
        -- A copy may reach into what it makes: then it repeats itself.
        WHILE octet_length(piece) < run LOOP
            piece := piece || piece;
        END LOOP;
        made := made || substr(piece, 1, run);
    END LOOP;
    made := substr(made, skipped + 1);
    IF octet_length(made) <> wanted THEN
        RAISE EXCEPTION 'a frame is damaged: % bytes instead of %', octet_length(made), wanted;
    END IF;
    RETURN made;
END
$function$;

-- A body as jsonb for people with psql: what is no JSON, or none that jsonb can hold, becomes
-- {"_text": ...} or {"_base64": ...}, and what is not in the database {"_payload_id": ...}.
CREATE FUNCTION observability.body_as_jsonb(body bytea, payload_id uuid) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $function$
DECLARE
    as_text text;
BEGIN
    IF body IS NULL THEN
        RETURN jsonb_build_object('_payload_id', payload_id);
    END IF;
    as_text := convert_from(body, 'UTF8');
    BEGIN
        RETURN as_text::jsonb;
    EXCEPTION WHEN OTHERS THEN
        RETURN jsonb_build_object('_text', as_text);
    END;
EXCEPTION WHEN OTHERS THEN
    RETURN jsonb_build_object('_base64', translate(encode(body, 'base64'), E'\n', ''));
END
$function$;

-- The steps of jobs, and the notes that complete a step's details later, a row each.
CREATE VIEW observability.steps AS
SELECT c.job_id, e.seq, e.step, e.completes, e.at AS occurred_at, e.details
FROM observability.chapters c
CROSS JOIN LATERAL json_to_recordset(c.steps)
    AS e (seq bigint, step text, completes text, at timestamptz, details jsonb);

-- All events of jobs, a row each, with what SQL can read of them. What else they hold is in the
-- chapter's body, which GetTrail and Watch tell.
CREATE VIEW observability.events AS
SELECT
    c.job_id, c.seq + n.place - 1 AS seq,
    CASE substr(c.kinds, n.place, 1)
        WHEN 's' THEN 'step' WHEN 'a' THEN 'attempt' WHEN 'l' THEN 'ledger' WHEN 'n' THEN 'note'
        WHEN 'p' THEN 'payload' WHEN 'r' THEN 'repeat' WHEN 'o' THEN 'outputs' END AS kind,
    coalesce(e.step, e.completes) AS step, e.at AS occurred_at, e.details, c.trace_id
FROM observability.chapters c
CROSS JOIN LATERAL generate_series(1, octet_length(c.kinds)) AS n (place)
LEFT JOIN LATERAL json_to_recordset(c.steps)
    AS e (seq bigint, step text, completes text, at timestamptz, details jsonb)
    ON e.seq = c.seq + n.place - 1;

-- One job a row, with the plan's names; the view of each tool reads from here. Subqueries stand in
-- the select list so that a LIMIT is taken before they run.
CREATE VIEW observability.job_story AS
SELECT
    j.tool,
    j.job_id AS id,
    j.status,
    j.current_step,
    j.failed_at_step,
    j.error_message,
    coalesce((
        SELECT jsonb_agg(
            coalesce(e.details, '{}'::jsonb) || coalesce(n.details, '{}'::jsonb)
            || jsonb_build_object(
                'step', e.step,
                'timestamp', to_char(
                    e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
            ORDER BY e.seq)
        FROM observability.steps e
        LEFT JOIN (
            -- Of several notes the last counts, so that a step stays one entry.
            SELECT DISTINCT ON (x.completes) x.completes, x.seq, x.details
            FROM observability.steps x
            WHERE x.job_id = j.job_id AND x.completes IS NOT NULL AND x.seq <= j.through_seq
            ORDER BY x.completes, x.seq DESC
        ) n ON n.completes = e.step AND n.seq > e.seq
        WHERE e.job_id = j.job_id AND e.step IS NOT NULL AND e.seq <= j.through_seq
    ), '[]'::jsonb) AS step_history,
    (
        SELECT observability.body_as_jsonb(observability.unframed(p.frame), p.payload_id)
        FROM observability.payloads p
        WHERE p.job_id = j.job_id AND p.shown_as = 'reply'
        ORDER BY p.seq DESC LIMIT 1
    ) AS raw_api_response,
    (
        SELECT observability.body_as_jsonb(
            observability.unframed(coalesce(p.frame, d.frame)), p.payload_id)
        FROM observability.payloads p
        LEFT JOIN LATERAL (
            SELECT * FROM observability.deliveries x
            WHERE x.delivery_id = p.payload_id AND p.frame IS NULL AND p.blob_sha256 IS NULL
            OFFSET 0
        ) AS d ON true
        WHERE p.job_id = j.job_id AND p.shown_as = 'callback'
            AND (coalesce(p.frame, d.frame) IS NOT NULL
                OR coalesce(p.blob_sha256, d.blob_sha256) IS NOT NULL)
        ORDER BY p.seq DESC LIMIT 1
    ) AS raw_webhook_payload,
    j.created_at,
    j.started_at,
    j.completed_at,
    j.output_url
FROM observability.jobs j
WHERE j.status IS NOT NULL;

-- Makes or renews a tool's view on the default search path. Never touches a relation that is not
-- such a view.
CREATE FUNCTION observability.make_tool_view(tool_name text, view_name text) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    existing oid := to_regclass(format('public.%I', view_name));
    mark text := 'etapa: jobs of ' || tool_name;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('observability.make_tool_view'));
    IF existing IS NOT NULL THEN
        IF coalesce(obj_description(existing, 'pg_class'), '') NOT LIKE 'etapa: jobs of %' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'duplicate_table',
                MESSAGE = format('public.%s exists and is not a view of Etapa', view_name);
        END IF;
        IF obj_description(existing, 'pg_class') = mark THEN
            RETURN;
        END IF;
        EXECUTE format('DROP VIEW public.%I', view_name);
    END IF;
    EXECUTE format(
        'CREATE VIEW public.%I AS SELECT id, status, current_step, failed_at_step, error_message, '
        'step_history, raw_api_response, raw_webhook_payload, created_at, started_at, '
        'completed_at, output_url FROM observability.job_story WHERE tool = %L',
        view_name, tool_name);
    EXECUTE format('COMMENT ON VIEW public.%I IS %L', view_name, mark);
END
$function$;
