-- Renew the leases of attempts this process works on.
-- $1 job ids, $2 attempt numbers, $3 lease_until. Index: attempts_pkey.
UPDATE queue.attempts a SET lease_until = $3
  FROM unnest($1::uuid[], $2::int[]) AS t(job_id, number)
 WHERE a.job_id = t.job_id AND a.number = t.number AND a.lease_until IS NOT NULL
   AND a.phase IN ('claimed', 'finalising', 'ended')
