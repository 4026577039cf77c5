-- Reads which of some numbers of a job are stored: those behind a gap may be.
-- $1 job_id, $2 numbers.
-- Served by: primary key of chapters.
SELECT wanted.seq
FROM unnest($2::bigint[]) AS wanted (seq)
CROSS JOIN LATERAL (
    SELECT c.seq FROM observability.chapters c
    WHERE c.job_id = $1 AND c.last_seq >= wanted.seq
    ORDER BY c.last_seq
    LIMIT 1
) AS next
WHERE next.seq <= wanted.seq
