"""The AI tools, one file each: a docstring and one `TOOL = Tool(…)`. See `registry`."""
