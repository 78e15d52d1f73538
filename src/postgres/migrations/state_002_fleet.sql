-- A member is a process: two that call themselves the same are two rows, and what a poll tells is a row of its own.
ALTER TABLE diastole.instances
    ADD COLUMN source text NOT NULL DEFAULT 'heartbeat' CHECK (source IN ('heartbeat', 'poll')),
    ADD COLUMN sequence bigint,
    ADD COLUMN silent boolean NOT NULL DEFAULT true,
    ADD COLUMN listed_by text[] NOT NULL DEFAULT '{}',
    DROP CONSTRAINT instances_pkey,
    ADD PRIMARY KEY (service, instance, incarnation, source);
ALTER TABLE diastole.instances ALTER COLUMN source DROP DEFAULT, ALTER COLUMN silent DROP DEFAULT;
-- No column that changes is in an index: with room in the page, an update touches none.
ALTER TABLE diastole.instances SET (fillfactor = 70);
COMMENT ON COLUMN diastole.instances.listed_by IS 'the discovery sources that have ever listed the instance';

-- Nothing that changed before as_of, by this database's clock, is missing in instances.
CREATE TABLE diastole.fleet_record (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    as_of timestamptz NOT NULL
) WITH (fillfactor = 10);

-- Who was removed, and why; for 30 days.
CREATE TABLE diastole.departures (
    service text NOT NULL,
    instance text NOT NULL,
    incarnation text NOT NULL,
    source text NOT NULL,
    version text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX departures_at ON diastole.departures (at);
