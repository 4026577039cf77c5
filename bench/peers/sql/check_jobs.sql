-- Says of each job what is kept of it. Reads the whole tables.
-- Only the callback (7) may be kept before the reply of the start call (6): it overtakes it.
SELECT
    job_id,
    step.names,
    step.in_order,
    payload.kinds,
    payload.shortest
FROM bench.job
LEFT JOIN (
    SELECT
        job_id,
        array_agg(name ORDER BY place) AS names,
        bool_and(recorded_at >= coalesce(earlier, recorded_at) OR place = 7) AS in_order
    FROM (
        SELECT *, max(recorded_at) OVER (
            PARTITION BY job_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS earlier
        FROM bench.step
    ) AS placed
    GROUP BY job_id
) AS step USING (job_id)
LEFT JOIN (
    SELECT
        job_id,
        array_agg(kind ORDER BY kind) AS kinds,
        min(octet_length(body)) AS shortest
    FROM bench.payload
    GROUP BY job_id
) AS payload USING (job_id)
ORDER BY job_id;
