-- Callbacks that no job has claimed yet, oldest first: such as never find one are forgotten.
CREATE INDEX deliveries_unmatched ON observability.deliveries (received_at)
    WHERE state = 'unmatched';
