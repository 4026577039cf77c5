-- Reads a job's first chapters with events of one kind, in order, until they hold enough of them.
-- $1 job_id, $2 letter of the kind, $3 up to this seq, $4 so many events.
-- Served by: primary key of chapters.
SELECT job_id, seq, last_seq, trace_id, body
FROM (
    SELECT c.*, sum(octet_length(kinds) - octet_length(replace(kinds, $2, '')))
        OVER (ORDER BY last_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM observability.chapters c
    WHERE job_id = $1 AND seq <= $3 AND strpos(kinds, $2) > 0
) AS counted
WHERE coalesce(before, 0) < $4
ORDER BY last_seq
