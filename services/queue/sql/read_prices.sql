-- Read prices and time limits of tools by variant.
-- $1 tools, $2 variants, side by side. Index: prices_pkey.
SELECT t.name, p.variant, p.credits, t.upload_s, t.queue_wait_s, t.start_s, t.run_s, t.finalise_s
  FROM unnest($1::text[], $2::text[]) AS r(tool, variant)
  JOIN queue.prices p ON p.tool = r.tool AND p.variant = r.variant
  JOIN queue.tools t ON t.name = p.tool
