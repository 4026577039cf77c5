-- Give an account its slots; those that it has stay, those beyond its number are never offered.
-- $1 account, $2 slots. Under the gate.
INSERT INTO queue.slots (account, slot) SELECT $1, generate_series(1, $2::int)
ON CONFLICT DO NOTHING
