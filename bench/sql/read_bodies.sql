-- The bodies of a job's payloads; a callback's are where the gateway's delivery is.
-- $1 job id. Index: payloads_pkey, deliveries_pkey.
SELECT p.encoding, coalesce(d.body, p.body) AS body
  FROM observability.payloads p
  LEFT JOIN observability.deliveries d
    ON d.delivery_id = p.payload_id AND p.encoding = 'delivery'
 WHERE p.job_id = $1
