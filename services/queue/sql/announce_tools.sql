-- Store announced tools; unchanged ones are not written again. What an operator or experience
-- set (paused, typical_run_s) stays.
-- $1 names, $2 views, $3 labels (pt), $4 labels (en), $5 output kinds, and in seconds $6 upload,
-- $7 queue wait, $8 start, $9 run, $10 finalise; side by side, in order of names.
INSERT INTO queue.tools AS t (name, view, label_pt, label_en, output_kind, upload_s, queue_wait_s,
                              start_s, run_s, finalise_s)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[],
                     $7::float8[], $8::float8[], $9::float8[], $10::float8[])
ON CONFLICT (name) DO UPDATE
   SET view = excluded.view, label_pt = excluded.label_pt, label_en = excluded.label_en,
       output_kind = excluded.output_kind, upload_s = excluded.upload_s,
       queue_wait_s = excluded.queue_wait_s, start_s = excluded.start_s, run_s = excluded.run_s,
       finalise_s = excluded.finalise_s
 WHERE (t.view, t.label_pt, t.label_en, t.output_kind, t.upload_s, t.queue_wait_s, t.start_s,
        t.run_s, t.finalise_s)
       IS DISTINCT FROM
       (excluded.view, excluded.label_pt, excluded.label_en, excluded.output_kind,
        excluded.upload_s, excluded.queue_wait_s, excluded.start_s, excluded.run_s,
        excluded.finalise_s)
