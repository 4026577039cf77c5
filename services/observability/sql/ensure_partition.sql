-- Makes one table's partition of a range, if it is missing.
-- $1 table, $2 label of the range.
SELECT observability.ensure_partition($1, $2)
