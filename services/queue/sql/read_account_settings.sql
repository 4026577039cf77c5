-- Read and lock what is set of an account, its key included; for SetAccount alone, under the gate.
-- $1 name. Index: accounts_pkey.
SELECT base_url, api_key, slots, health FROM queue.accounts WHERE name = $1 FOR UPDATE
