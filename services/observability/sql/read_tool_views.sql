-- Reads the name of each tool's view. A few rows.
SELECT name, view FROM observability.tools
