-- Stores announced tools.
-- $1 name, $2 view, $3 Portuguese label, $4 English label, $5 ToolAnnouncement.
-- Served by: primary key of tools.
INSERT INTO observability.tools AS t (name, view, label_pt, label_en, announcement)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])
ON CONFLICT (name) DO UPDATE SET
    view = excluded.view, label_pt = excluded.label_pt, label_en = excluded.label_en,
    announcement = excluded.announcement, announced_at = now()
WHERE t.announcement <> excluded.announcement
