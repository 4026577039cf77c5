-- Look whether there is work of any kind, for all loops of a process at once. Each answer is the
-- first entry of an index, whatever lies behind it; min() is what keeps the planner to that.
-- $1 now. Index: jobs_waiting, attempts_due, attempts_leased, jobs_to_check, callbacks_unmatched,
-- outbox_pkey.
SELECT (SELECT min(j.waiting_seq) FROM queue.jobs j) IS NOT NULL AS waiting,
       coalesce((SELECT min(a.next_poll_at) FROM queue.attempts a) <= $1, false) AS due_polls,
       coalesce((SELECT min(a.lease_until) FROM queue.attempts a) <= $1, false) AS ended_leases,
       coalesce((SELECT min(j.check_at) FROM queue.jobs j) <= $1, false) AS due_checks,
       coalesce((SELECT max(c.task_id) FROM queue.callbacks c WHERE c.job_id IS NULL) <> '', false)
         AS unmatched,
       (SELECT min(o.id) FROM queue.outbox o) IS NOT NULL AS untold
