-- Pause or resume a tool; gives a row where there is such a tool.
-- $1 name, $2 paused. Index: tools_pkey.
UPDATE queue.tools SET paused = $2 WHERE name = $1 RETURNING name
