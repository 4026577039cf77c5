-- Reads the dictionaries of frames. A few rows.
SELECT number, content FROM observability.dictionaries
