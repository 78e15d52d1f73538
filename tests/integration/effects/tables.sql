-- CREATE TABLE

CREATE TABLE new (id int PRIMARY KEY, a text);
-- => nothing

CREATE TABLE IF NOT EXISTS plain (id int);
-- => nothing

CREATE TABLE new (id int, team_id bigint REFERENCES teams);
-- => teams SHARE ROW EXCLUSIVE

CREATE TABLE new (LIKE users INCLUDING ALL);
-- => users ACCESS SHARE

CREATE TABLE new (more int) INHERITS (animals);
-- => animals SHARE UPDATE EXCLUSIVE

CREATE TABLE new OF pair;
-- => nothing

CREATE TEMP TABLE new (id int);
-- => nothing

CREATE UNLOGGED TABLE new (id int, up int, PRIMARY KEY (id), FOREIGN KEY (up) REFERENCES new);
-- => nothing

CREATE TABLE new (id int, at date) PARTITION BY RANGE (at);
-- => nothing

CREATE FOREIGN TABLE new (id int) SERVER far;
-- => nothing

-- may: maybe
CREATE TABLE new AS SELECT * FROM plain;
-- => plain ACCESS SHARE, scanned

CREATE TABLE new AS SELECT * FROM user_names WITH NO DATA;
-- => user_names ACCESS SHARE

-- may: maybe
SELECT * INTO new FROM plain;
-- => plain ACCESS SHARE, scanned

CREATE TABLE new (a mood, b positive, c label, d serial);
-- => nothing

-- ALTER TABLE, of the table as a whole

ALTER TABLE plain RENAME TO simple;
-- => plain ACCESS EXCLUSIVE

-- may: idle
ALTER TABLE IF EXISTS nothing RENAME TO something;
-- => nothing

ALTER TABLE events RENAME TO happenings;
-- => events ACCESS EXCLUSIVE

ALTER TABLE animals RENAME TO beasts;
-- => animals ACCESS EXCLUSIVE

ALTER TABLE plain SET SCHEMA app;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE serials SET SCHEMA app;
-- => serials ACCESS EXCLUSIVE

ALTER TABLE events SET SCHEMA app;
-- => events ACCESS EXCLUSIVE

ALTER TABLE plain OWNER TO boss;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE serials OWNER TO boss;
-- => serials ACCESS EXCLUSIVE

ALTER TABLE events OWNER TO boss;
-- => events ACCESS EXCLUSIVE

ALTER TABLE plain SET (fillfactor = 70);
-- => plain SHARE UPDATE EXCLUSIVE

ALTER TABLE plain SET (autovacuum_enabled = off, user_catalog_table = true);
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain RESET (fillfactor);
-- => plain SHARE UPDATE EXCLUSIVE

ALTER TABLE plain SET UNLOGGED;
-- => plain ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE scratch SET LOGGED;
-- => scratch ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE plain SET LOGGED;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE scratch SET UNLOGGED;
-- => scratch ACCESS EXCLUSIVE

-- may: maybe
ALTER TABLE plain SET ACCESS METHOD heap;
-- => plain ACCESS EXCLUSIVE

-- may: maybe
ALTER TABLE plain SET TABLESPACE pg_default;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain SET WITHOUT CLUSTER;
-- => plain SHARE UPDATE EXCLUSIVE

ALTER TABLE plain CLUSTER ON plain_pkey;
-- => plain SHARE UPDATE EXCLUSIVE

ALTER TABLE plain REPLICA IDENTITY FULL;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain REPLICA IDENTITY USING INDEX plain_c;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE app.notes DISABLE ROW LEVEL SECURITY;
-- => app.notes ACCESS EXCLUSIVE

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
-- => users ACCESS EXCLUSIVE

ALTER TABLE users FORCE ROW LEVEL SECURITY;
-- => users ACCESS EXCLUSIVE

ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
-- => users ACCESS EXCLUSIVE

ALTER TABLE users DISABLE TRIGGER users_keep;
-- => users SHARE ROW EXCLUSIVE

ALTER TABLE users ENABLE ALWAYS TRIGGER users_keep;
-- => users SHARE ROW EXCLUSIVE

ALTER TABLE users DISABLE TRIGGER ALL;
-- => users SHARE ROW EXCLUSIVE

ALTER TABLE users DISABLE TRIGGER USER;
-- => users SHARE ROW EXCLUSIVE

ALTER TABLE ruled DISABLE RULE nothing;
-- => ruled ACCESS EXCLUSIVE

ALTER TABLE cats INHERIT animals;
-- => animals SHARE UPDATE EXCLUSIVE; cats ACCESS EXCLUSIVE

ALTER TABLE dogs NO INHERIT animals;
-- => animals ACCESS SHARE; dogs ACCESS EXCLUSIVE

ALTER TABLE typed NOT OF;
-- => typed ACCESS EXCLUSIVE

CREATE TABLE shaped (a int, b text);
ALTER TABLE shaped OF pair;
-- => shaped ACCESS EXCLUSIVE

ALTER FOREIGN TABLE distant ADD COLUMN b int;
-- => distant ACCESS EXCLUSIVE

ALTER FOREIGN TABLE distant OPTIONS (ADD x 'y');
-- => distant ACCESS EXCLUSIVE

ALTER FOREIGN TABLE distant RENAME TO further;
-- => distant ACCESS EXCLUSIVE

-- may: idle
ALTER TABLE IF EXISTS nothing ADD COLUMN a int;
-- => nothing

ALTER TABLE plain SET (fillfactor = 70), ALTER a SET DEFAULT 5;
-- => plain ACCESS EXCLUSIVE

-- TRUNCATE

-- may: new file
TRUNCATE plain;
-- => plain ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE events;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE, rewritten; events_2024 ACCESS EXCLUSIVE, rewritten;
-- => events_rest ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE animals;
-- => animals ACCESS EXCLUSIVE, rewritten; dogs ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE ONLY animals;
-- => animals ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE orders CASCADE;
-- => items ACCESS EXCLUSIVE, rewritten; orders ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE teams CASCADE;
-- => items ACCESS EXCLUSIVE, rewritten; orders ACCESS EXCLUSIVE, rewritten; teams ACCESS EXCLUSIVE, rewritten;
-- => users ACCESS EXCLUSIVE, rewritten; visits ACCESS EXCLUSIVE; visits_eu ACCESS EXCLUSIVE, rewritten; visits_us
-- => ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE, rewritten; visits_us_1 ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE serials RESTART IDENTITY;
-- => serials ACCESS EXCLUSIVE, rewritten

-- may: new file
TRUNCATE items, orders, users;
-- => items ACCESS EXCLUSIVE, rewritten; orders ACCESS EXCLUSIVE, rewritten; users ACCESS EXCLUSIVE, rewritten

-- LOCK

LOCK TABLE plain;
-- => plain ACCESS EXCLUSIVE

LOCK TABLE plain IN SHARE MODE;
-- => plain SHARE

LOCK TABLE events IN ROW EXCLUSIVE MODE;
-- => events ROW EXCLUSIVE; events_2023 ROW EXCLUSIVE; events_2024 ROW EXCLUSIVE; events_rest ROW EXCLUSIVE

LOCK TABLE ONLY animals IN EXCLUSIVE MODE;
-- => animals EXCLUSIVE

LOCK TABLE animals IN EXCLUSIVE MODE;
-- => animals EXCLUSIVE; dogs EXCLUSIVE

LOCK TABLE old_names IN SHARE ROW EXCLUSIVE MODE;
-- => old_names SHARE ROW EXCLUSIVE; user_names SHARE ROW EXCLUSIVE; users SHARE ROW EXCLUSIVE

LOCK TABLE all_events IN ACCESS SHARE MODE;
-- => all_events ACCESS SHARE; events ACCESS SHARE; events_2023 ACCESS SHARE; events_2024 ACCESS SHARE; events_rest
-- => ACCESS SHARE

-- Maintenance that may run in a transaction

CLUSTER plain USING plain_d;
-- => plain ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE plain CLUSTER ON plain_d;
CLUSTER plain;
-- => plain ACCESS EXCLUSIVE, scanned, rewritten

ANALYZE plain;
-- => plain SHARE UPDATE EXCLUSIVE

ANALYZE events;
-- => events SHARE UPDATE EXCLUSIVE; events_2023 SHARE UPDATE EXCLUSIVE; events_2024 SHARE UPDATE EXCLUSIVE;
-- => events_rest SHARE UPDATE EXCLUSIVE

ANALYZE users (email);
-- => users SHARE UPDATE EXCLUSIVE

ANALYZE animals;
-- => animals SHARE UPDATE EXCLUSIVE; dogs ACCESS SHARE
