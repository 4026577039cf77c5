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

-- What services read of a job: the projection and the name of its tool's view.
CREATE VIEW observability.job_summaries AS
SELECT
    j.job_id, j.revision, j.through_seq, j.max_seq, j.tool, j.variant, j.user_id, j.caller,
    j.request_id, j.retry_of, j.cost, j.input_json, j.trace_id, j.status, j.current_step,
    j.failed_at_step, j.error_class, j.error_message, j.evidence_payload_id, j.evidence_path,
    j.created_at, j.started_at, j.completed_at, j.attempt, j.account, j.task_id, j.output_url,
    j.outputs, j.step_count, j.note_count, j.payload_count, j.phase,
    coalesce((SELECT t.view FROM observability.tools t WHERE t.name = j.tool), '') AS view
FROM observability.jobs j;

-- A kept body as jsonb for people with psql: what is no JSON, or none that jsonb can hold, becomes
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
        FROM observability.events e
        LEFT JOIN (
            -- Of several notes the last counts, so that a step stays one entry.
            SELECT DISTINCT ON (x.step) x.step, x.seq, x.details
            FROM observability.events x
            WHERE x.job_id = j.job_id AND x.kind = 'note' AND x.step IS NOT NULL
                AND x.seq <= j.through_seq
            ORDER BY x.step, x.seq DESC
        ) n ON n.step = e.step AND n.seq > e.seq
        WHERE e.job_id = j.job_id AND e.kind = 'step' AND e.seq <= j.through_seq
    ), '[]'::jsonb) AS step_history,
    (
        SELECT observability.body_as_jsonb(p.body, p.payload_id)
        FROM observability.payloads p
        WHERE p.job_id = j.job_id AND p.shown_as = 'raw_api_response'
        ORDER BY p.seq DESC LIMIT 1
    ) AS raw_api_response,
    (
        SELECT observability.body_as_jsonb(coalesce(p.body, d.body), p.payload_id)
        FROM observability.payloads p
        LEFT JOIN LATERAL (
            SELECT * FROM observability.deliveries x
            WHERE x.delivery_id = p.payload_id AND p.encoding = 'delivery'
            OFFSET 0
        ) AS d ON true
        WHERE p.job_id = j.job_id AND p.shown_as = 'raw_webhook_payload'
            AND (p.encoding <> 'delivery' OR d.delivery_id IS NOT NULL)
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
