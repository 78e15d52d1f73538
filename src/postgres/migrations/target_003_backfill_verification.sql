-- The rows that a backfill with on_error: skip could not change for their own sake; anew in each pass.
CREATE TABLE diastole.backfill_skipped (
  plan text NOT NULL,
  step text NOT NULL,
  relation text NOT NULL,
  key_names text[] NOT NULL,
  key text[] NOT NULL,
  sqlstate text NOT NULL,
  message text NOT NULL,
  skipped_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan, step, relation, key),
  FOREIGN KEY (plan, step) REFERENCES diastole.backfill ON DELETE CASCADE
);
COMMENT ON COLUMN diastole.backfill_skipped.key_names IS 'quoted; ctid and xmin (its place and version) where the table has no key';

-- How many rows had been written when the verification began: as long as that stands, nothing has to be read again.
ALTER TABLE diastole.backfill
  ADD COLUMN verified_at timestamptz,
  ADD COLUMN verified_writes bigint,
  ADD COLUMN verified_reset timestamptz;
COMMENT ON COLUMN diastole.backfill.verified_writes IS 'rows inserted and updated, by the statistics; none: they cannot tell';
COMMENT ON COLUMN diastole.backfill.verified_reset IS 'when the statistics were reset last';
