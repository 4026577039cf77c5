-- One real job's events, renumbered: its steps, then the reply to the start and the callback.
-- No values. Both tables live as long as the session.
CREATE TEMP TABLE template_events AS
SELECT row_number() OVER (ORDER BY e.kind DESC, e.seq) AS seq, e.attempt, e.kind, e.step, e.details,
       e.body, e.seq AS old_seq
  FROM observability.events e
 WHERE e.job_id = (SELECT min(job_id::text)::uuid FROM observability.jobs WHERE status = 'completed')
   AND (e.kind = 'step' OR (e.kind = 'payload' AND EXISTS (
         SELECT FROM observability.payloads p
          WHERE p.job_id = e.job_id AND p.seq = e.seq
            AND (p.raw_api_response IS NOT NULL OR p.raw_webhook_payload IS NOT NULL))));
CREATE TEMP TABLE template_payloads AS
SELECT t.seq, p.encoding, p.body, p.info, p.raw_api_response, p.raw_webhook_payload
  FROM template_events t
  JOIN observability.payloads p ON p.seq = t.old_seq
 WHERE t.kind = 'payload'
   AND p.job_id = (SELECT min(job_id::text)::uuid FROM observability.jobs WHERE status = 'completed');
