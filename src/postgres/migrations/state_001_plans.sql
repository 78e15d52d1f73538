-- What diastoled remembers: plans with their events, the fleet, and who may act.

-- One row. The epoch grows by one at every takeover and never falls. Every append locks this row, and so appends commit one
-- after the other.
CREATE TABLE diastole.lease (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch bigint NOT NULL CHECK (epoch >= 0),
    holder text NOT NULL,
    taken_at timestamptz,
    -- Names this state database for ever: targets remember it, so that two daemons with different state never share a target.
    owner uuid NOT NULL
);
INSERT INTO diastole.lease (epoch, holder, owner) VALUES (0, '', gen_random_uuid());

-- A projection of the plan's events for quick reading; seq is the last event it contains.
CREATE TABLE diastole.plans (
    id text PRIMARY KEY,
    name text NOT NULL,
    target text NOT NULL,
    hash text NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    stage text NOT NULL,
    condition text NOT NULL,
    state jsonb NOT NULL,
    submitted_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX plans_unfinished ON diastole.plans (submitted_at) WHERE stage NOT IN ('completed', 'aborted');

-- The truth, and the audit log. Ids are drawn while the lease row is locked: in commit order, so that who has read up to n
-- misses nothing after n. A rollback may leave a gap.
CREATE TABLE diastole.events (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    plan text NOT NULL REFERENCES diastole.plans (id),
    seq bigint NOT NULL CHECK (seq > 0),
    at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    version int NOT NULL,  -- of the body's form
    UNIQUE (plan, seq)
);

CREATE TABLE diastole.instances (
    service text NOT NULL,
    instance text NOT NULL,
    version text NOT NULL,
    incarnation text NOT NULL,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (service, instance)
);
