-- The ranges of time for which partitions exist or are being made: [low, high) of a UUIDv7.
CREATE TABLE observability.ranges (
    low uuid PRIMARY KEY,
    high uuid NOT NULL UNIQUE,
    label text NOT NULL UNIQUE CHECK (label ~ '^[0-9a-z_]{1,20}$'),
    CONSTRAINT low_is_below_high CHECK (low < high)
);

-- Makes the partition of one table for one range, moving what the default partition holds of it.
-- Idempotent. One table a transaction, so that it never holds the locks of two tables.
CREATE FUNCTION observability.ensure_partition(parent text, range_label text) RETURNS boolean
LANGUAGE plpgsql AS $function$
DECLARE
    part text := parent || '_p' || range_label;
    fallback text := parent || '_default';
    key_column text := CASE parent WHEN 'deliveries' THEN 'delivery_id' ELSE 'job_id' END;
    -- jobs is updated in place: room on the page keeps an update off the indexes, and long texts
    -- out of the row are not written again. Elsewhere rows up to a page are kept whole: frames are
    -- compressed already, and chapters would cost more to compress than to write.
    options text := CASE
        WHEN parent = 'jobs' THEN
            'fillfactor = 70, toast_tuple_target = 512, autovacuum_vacuum_scale_factor = 0.02, '
            'autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05'
        ELSE
            'autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.1, '
            'toast_tuple_target = 8160'
        END;
    bounds record;
BEGIN
    IF parent NOT IN ('jobs', 'chapters', 'payloads', 'keys', 'deliveries') THEN
        RAISE EXCEPTION 'no partitioned table %', parent;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('observability.ensure_partition'));
    IF to_regclass(format('observability.%I', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    SELECT low, high INTO STRICT bounds FROM observability.ranges WHERE label = range_label;
    EXECUTE format('CREATE TABLE observability.%I (LIKE observability.%I INCLUDING ALL) WITH (%s)',
        part, parent, options);
    EXECUTE format('LOCK TABLE observability.%I IN ACCESS EXCLUSIVE MODE', fallback);
    EXECUTE format(
        'WITH moved AS (DELETE FROM observability.%I WHERE %I >= $1 AND %I < $2 RETURNING *) '
        'INSERT INTO observability.%I SELECT * FROM moved', fallback, key_column, key_column, part)
        USING bounds.low, bounds.high;
    EXECUTE format(
        'ALTER TABLE observability.%I ATTACH PARTITION observability.%I FOR VALUES FROM (%L) TO (%L)',
        parent, part, bounds.low, bounds.high);
    RETURN true;
END
$function$;
