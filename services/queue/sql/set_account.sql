-- Make an account or change what is given of it; NULL leaves it as it is. Under the gate.
-- $1 name, $2 base_url, $3 api_key, $4 slots, $5 paused, $6 now, $7 declare it healthy.
-- A new key is a new beginning; setting the same one again forgives a refusal.
INSERT INTO queue.accounts AS a (name, base_url, api_key, slots, paused, health_changed_at)
VALUES ($1, $2, $3, $4, coalesce($5::boolean, false), $6)
ON CONFLICT (name) DO UPDATE
   SET base_url = excluded.base_url, api_key = excluded.api_key, slots = excluded.slots,
       paused = coalesce($5::boolean, a.paused),
       health = CASE WHEN $7 THEN 'ok' ELSE a.health END,
       rests_until = CASE WHEN $7 THEN NULL ELSE a.rests_until END,
       strikes = CASE WHEN $7 THEN 0 ELSE a.strikes END,
       last_error = CASE WHEN $7 THEN '' ELSE a.last_error END,
       health_changed_at = CASE WHEN $7 AND a.health <> 'ok' THEN $6 ELSE a.health_changed_at END
