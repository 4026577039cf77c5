-- Makes the views of tools on the default search path; those that exist stay.
-- $1 tool, $2 view.
SELECT observability.make_tool_view(t.tool, t.view)
FROM unnest($1::text[], $2::text[]) AS t (tool, view)
