-- A backfill's way is chosen from the catalog, and its cursor is one of each part: a relation, or a worker's range of one.
DO $$ BEGIN
  IF EXISTS (SELECT FROM diastole.backfill b WHERE NOT EXISTS (
      SELECT FROM diastole.ledger l WHERE l.plan = b.plan AND l.step = b.step AND l.direction = 'forward' AND l.state = 'done')) THEN
    RAISE EXCEPTION 'a backfill is half done, and this version cannot go on with its cursor'
      USING HINT = 'finish or abort the plans in diastole.backfill with the version that began them, then upgrade';
  END IF;
END $$;
DELETE FROM diastole.backfill;
ALTER TABLE diastole.backfill
  DROP COLUMN cursor,
  DROP COLUMN pass_done,
  ADD COLUMN walk_by text NOT NULL CHECK (walk_by IN ('blocks', 'key')),
  ADD COLUMN key_names text[] NOT NULL,
  ADD COLUMN key_types text[] NOT NULL,
  ADD COLUMN strides integer NOT NULL CHECK (strides > 0),
  ADD COLUMN workers integer NOT NULL CHECK (workers > 0),
  ADD COLUMN because text[] NOT NULL;
COMMENT ON COLUMN diastole.backfill.rows IS 'visited in the passes before this one; as is rows_changed';
COMMENT ON COLUMN diastole.backfill.key_names IS 'quoted, in the order of the index';

-- Moves in the transaction of the batch. Places are the key's values as text, or a block number: include/diastole/core/walk.hpp.
CREATE TABLE diastole.backfill_part (
  plan text NOT NULL,
  step text NOT NULL,
  part integer NOT NULL,
  relation text NOT NULL,
  lower text[],
  upper text[],
  rows_total bigint NOT NULL,
  done_to text[],
  window_to text[],
  window_rows bigint NOT NULL DEFAULT 0,
  stride integer NOT NULL DEFAULT 0,
  stride_to text[],
  last_window boolean NOT NULL DEFAULT false,
  done boolean NOT NULL DEFAULT false,
  rows bigint NOT NULL DEFAULT 0,
  rows_changed bigint NOT NULL DEFAULT 0,
  epoch bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan, step, part),
  FOREIGN KEY (plan, step) REFERENCES diastole.backfill ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON COLUMN diastole.backfill_part.lower IS 'the part begins behind it; none: with the relation';
COMMENT ON COLUMN diastole.backfill_part.rows IS 'visited in the windows that are closed, in this pass; an estimate by blocks';
