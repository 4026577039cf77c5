-- Hold the gate: one process at a time gives out places in the queue or takes jobs out of it.
-- Run the next statement after it, so that its snapshot is younger than the wait.
SELECT enqueue_seq FROM queue.gate FOR UPDATE
