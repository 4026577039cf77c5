-- Move the usual run times of tools towards what was just seen; old news weighs less with each run.
-- $1 tools, $2 mean seconds, $3 how many runs; side by side, one row a tool. Index: tools_pkey.
UPDATE queue.tools t
   SET typical_run_s = coalesce(t.typical_run_s * 0.8 ^ r.runs + r.mean_s * (1 - 0.8 ^ r.runs),
                                r.mean_s)
  FROM unnest($1::text[], $2::float8[], $3::int[]) AS r(tool, mean_s, runs)
 WHERE t.name = r.tool
