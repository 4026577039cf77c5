-- Find slots that jobs may take at once, fairest account first, under the gate.
-- $1 now, $2 at most so many, $3 global limit (0: none). Index: slots_pkey, accounts_pkey.
SELECT o.account, o.slot, a.base_url, a.api_key
  FROM queue.open_slots($1, $3, $2) o JOIN queue.accounts a ON a.name = o.account
 ORDER BY o.place
 LIMIT $2
