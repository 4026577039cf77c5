-- The sizes of the bodies of a job's payloads; a callback's is where the gateway's delivery is.
-- $1 job id. Index: payloads_pkey, deliveries_pkey.
SELECT octet_length(observability.unframed(coalesce(d.frame, p.frame))) AS size
  FROM observability.payloads p
  LEFT JOIN observability.deliveries d
    ON d.delivery_id = p.payload_id AND p.frame IS NULL AND p.blob_sha256 IS NULL
 WHERE p.job_id = $1
