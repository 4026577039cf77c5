-- One real job's chapters, and its payloads but for the bodies that only a payload page shows.
-- No values. Both tables live as long as the session.
CREATE TEMP TABLE template_chapters AS
SELECT c.seq, c.last_seq, c.kinds, c.steps, c.body
  FROM observability.chapters c
 WHERE c.job_id = (SELECT min(job_id::text)::uuid FROM observability.jobs WHERE status = 'completed');
CREATE TEMP TABLE template_payloads AS
SELECT p.seq, p.shown_as, p.frame
  FROM observability.payloads p
 WHERE p.shown_as IS NOT NULL
   AND p.job_id = (SELECT min(job_id::text)::uuid FROM observability.jobs WHERE status = 'completed');
