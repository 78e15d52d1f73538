-- Which daemon may act here: every transaction of ours begins with FOR SHARE on this row at its own epoch, so that a takeover,
-- which raises the epoch, waits for those in flight and stops all that come later.
CREATE TABLE diastole.fence (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch bigint NOT NULL,
  owner uuid NOT NULL
);

-- What plans have done to this database. A row is written in the transaction of its work; only a statement that cannot run in
-- one has its row 'started' before and made 'done' after.
CREATE TABLE diastole.ledger (
  plan text NOT NULL,
  step text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('forward', 'undo')),
  checksum text NOT NULL,
  epoch bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('started', 'done')),
  object text,
  backend_pid integer NOT NULL,
  backend_start timestamptz,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  rows bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (plan, step, direction),
  CHECK ((state = 'done') = (finished_at IS NOT NULL))
);
COMMENT ON COLUMN diastole.ledger.object IS 'the index that a statement outside a transaction makes or removes';

-- Where each backfill is; moves in the transaction of the batch. cursor holds the last key visited, column by column as text.
CREATE TABLE diastole.backfill (
  plan text NOT NULL,
  step text NOT NULL,
  checksum text NOT NULL,
  pass integer NOT NULL DEFAULT 1,
  cursor text[],
  rows bigint NOT NULL DEFAULT 0,
  rows_changed bigint NOT NULL DEFAULT 0,
  rows_total bigint NOT NULL,
  pass_done boolean NOT NULL DEFAULT false,
  epoch bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan, step)
);
