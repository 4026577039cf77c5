-- Store the last place given out, under the gate.
-- $1 enqueue_seq
UPDATE queue.gate SET enqueue_seq = $1
