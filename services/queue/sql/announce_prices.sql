-- Store announced prices; unchanged ones are not written again.
-- $1 tools, $2 variants, $3 credits; side by side, in order of tools and variants.
INSERT INTO queue.prices AS p (tool, variant, credits)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (tool, variant) DO UPDATE SET credits = excluded.credits
 WHERE p.credits <> excluded.credits
