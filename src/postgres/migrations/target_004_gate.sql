-- What keeps old code out while a plan's contract is near. A plan's row is there as soon as its gate has fenced here; the
-- transaction that destroys takes FOR SHARE on it at its own epoch, so that a fall back, which raises the epoch, waits for it and
-- stops all that come later.
CREATE TABLE diastole.gate (
  plan text PRIMARY KEY,
  epoch bigint NOT NULL,
  kept_out boolean NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN diastole.gate.epoch IS 'of the plan''s gate: what was decided under an earlier one has no effect';

-- Roles that a plan has taken the login from. Another plan may keep out the same role: it has its login back when none does.
CREATE TABLE diastole.kept_out_role (
  plan text NOT NULL REFERENCES diastole.gate,
  role text NOT NULL,
  had_login boolean NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan, role)
);
COMMENT ON COLUMN diastole.kept_out_role.had_login IS 'before the first plan kept it out';

-- What is renamed before it is dropped. Its name comes back with the step that drops it, or when the gate falls back.
CREATE TABLE diastole.quarantine (
  plan text NOT NULL,
  step text NOT NULL,
  relation text NOT NULL,
  column_name text NOT NULL,
  place integer NOT NULL,
  relation_oid oid NOT NULL,
  schema_name text NOT NULL,
  relation_name text NOT NULL,
  new_name text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (plan, step, relation, column_name)
);
COMMENT ON COLUMN diastole.quarantine.relation IS 'as the plan has it, an SQL identifier';
COMMENT ON COLUMN diastole.quarantine.column_name IS 'empty: the relation itself has been renamed';
COMMENT ON COLUMN diastole.quarantine.place IS 'in the order of renaming; names come back in the opposite one';
COMMENT ON COLUMN diastole.quarantine.relation_name IS 'before, as is schema_name; unquoted';
