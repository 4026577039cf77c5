-- Says of each job what is kept of it, by us and by DBOS. Reads the whole tables.
-- What the steps of a workflow returned are bodies; it ran through if its status says so.
WITH step AS (
    SELECT job_id, place, name, NULL::timestamptz AS recorded_at FROM bench.step
    UNION ALL
    SELECT
        substring(workflow_uuid FROM 'full-(\d+)')::bigint,
        array_position(ARRAY['starting', 'running', 'completed'], function_name)
            + CASE function_name WHEN 'completed' THEN 5 ELSE 4 END,
        function_name,
        to_timestamp(completed_at_epoch_ms / 1000.0)
    FROM dbos.operation_outputs
    JOIN dbos.workflow_status USING (workflow_uuid)
    WHERE workflow_status.name = 'full'
        AND status = 'SUCCESS'
        AND function_name IN ('starting', 'running', 'completed')
), payload AS (
    SELECT job_id, kind, octet_length(body) AS size FROM bench.payload
    UNION ALL
    SELECT
        substring(workflow_uuid FROM 'full-(\d+)')::bigint,
        CASE function_name
            WHEN 'starting' THEN 'request' WHEN 'running' THEN 'response' ELSE 'query'
        END,
        octet_length(output::json #>> '{}')
    FROM dbos.operation_outputs
    WHERE workflow_uuid LIKE 'full-%' AND function_name IN ('starting', 'running', 'completed')
)
SELECT
    job_id,
    (SELECT array_agg(name ORDER BY place) FROM step WHERE step.job_id = job.job_id) AS names,
    (
        SELECT bool_and(recorded_at >= coalesce(earlier, recorded_at))
        FROM (
            SELECT recorded_at, lag(recorded_at) OVER (ORDER BY place) AS earlier
            FROM step
            WHERE step.job_id = job.job_id AND recorded_at IS NOT NULL
        ) AS placed
    ) AS in_order,
    (SELECT array_agg(kind ORDER BY kind) FROM payload WHERE payload.job_id = job.job_id) AS kinds,
    (SELECT min(size) FROM payload WHERE payload.job_id = job.job_id) AS shortest
FROM bench.job
ORDER BY job_id;
