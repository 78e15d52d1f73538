-- CHECK

ALTER TABLE plain ADD CONSTRAINT sane CHECK (a > 0);
-- => plain ACCESS EXCLUSIVE, scanned

ALTER TABLE plain ADD CONSTRAINT sane CHECK (a > 0) NOT VALID;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain VALIDATE CONSTRAINT e_set;
-- => plain SHARE UPDATE EXCLUSIVE, scanned

-- may: idle
ALTER TABLE plain VALIDATE CONSTRAINT d_set;
-- => plain SHARE UPDATE EXCLUSIVE

ALTER TABLE plain DROP CONSTRAINT d_set;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain DROP CONSTRAINT IF EXISTS nothing;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain RENAME CONSTRAINT d_set TO d_is_set;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE events ADD CONSTRAINT sane CHECK (id > 0);
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE, scanned; events_2024 ACCESS EXCLUSIVE, scanned;
-- => events_rest ACCESS EXCLUSIVE, scanned

ALTER TABLE events ADD CONSTRAINT sane CHECK (id > 0) NOT VALID;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE; events_2024 ACCESS EXCLUSIVE; events_rest ACCESS
-- => EXCLUSIVE

ALTER TABLE events ADD CONSTRAINT sane CHECK (id > 0) NOT VALID;
ALTER TABLE events VALIDATE CONSTRAINT sane;
-- => events SHARE UPDATE EXCLUSIVE; events_2023 SHARE UPDATE EXCLUSIVE, scanned; events_2024 SHARE UPDATE
-- => EXCLUSIVE, scanned; events_rest SHARE UPDATE EXCLUSIVE, scanned

ALTER TABLE animals ADD CONSTRAINT sane CHECK (id > 0);
-- => animals ACCESS EXCLUSIVE, scanned; dogs ACCESS EXCLUSIVE, scanned

ALTER TABLE animals ADD CONSTRAINT sane CHECK (id > 0) NO INHERIT;
-- => animals ACCESS EXCLUSIVE, scanned

ALTER TABLE animals VALIDATE CONSTRAINT animals_named;
-- => animals SHARE UPDATE EXCLUSIVE, scanned; dogs SHARE UPDATE EXCLUSIVE, scanned

ALTER TABLE animals DROP CONSTRAINT animals_named;
-- => animals ACCESS EXCLUSIVE; dogs ACCESS EXCLUSIVE

ALTER TABLE animals RENAME CONSTRAINT animals_named TO named;
-- => animals ACCESS EXCLUSIVE; dogs ACCESS EXCLUSIVE

COMMENT ON CONSTRAINT d_set ON plain IS 'x';
-- => plain ACCESS SHARE

-- Foreign keys

-- may: maybe
ALTER TABLE plain ADD CONSTRAINT a_key FOREIGN KEY (a) REFERENCES teams;
-- => plain SHARE ROW EXCLUSIVE, scanned; teams SHARE ROW EXCLUSIVE, scanned

ALTER TABLE plain ADD CONSTRAINT a_key FOREIGN KEY (a) REFERENCES teams NOT VALID;
-- => plain SHARE ROW EXCLUSIVE; teams SHARE ROW EXCLUSIVE

ALTER TABLE plain ADD CONSTRAINT a_key FOREIGN KEY (a) REFERENCES plain (id);
-- => plain SHARE ROW EXCLUSIVE, scanned

ALTER TABLE plain ADD CONSTRAINT a_key FOREIGN KEY (a) REFERENCES plain (id) NOT VALID;
-- => plain SHARE ROW EXCLUSIVE

ALTER TABLE plain ADD CONSTRAINT a_key FOREIGN KEY (a) REFERENCES plain (id) NOT VALID;
ALTER TABLE plain VALIDATE CONSTRAINT a_key;
-- => plain SHARE UPDATE EXCLUSIVE, scanned

-- may: maybe
ALTER TABLE items VALIDATE CONSTRAINT items_late;
-- => items SHARE UPDATE EXCLUSIVE, scanned; orders ROW SHARE, scanned

-- may: idle
ALTER TABLE items VALIDATE CONSTRAINT items_order;
-- => items SHARE UPDATE EXCLUSIVE

ALTER TABLE orders DROP CONSTRAINT orders_user;
-- => orders ACCESS EXCLUSIVE; users ACCESS EXCLUSIVE

ALTER TABLE items DROP CONSTRAINT items_late;
-- => items ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE

ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE;
-- => orders ACCESS EXCLUSIVE; users ACCESS EXCLUSIVE

ALTER TABLE orders RENAME CONSTRAINT orders_user TO its_user;
-- => orders ACCESS EXCLUSIVE

ALTER TABLE orders ALTER CONSTRAINT orders_user DEFERRABLE INITIALLY DEFERRED;
-- => orders ACCESS EXCLUSIVE

ALTER TABLE visits DROP CONSTRAINT visits_team;
-- => teams ACCESS EXCLUSIVE; visits ACCESS EXCLUSIVE; visits_eu ACCESS EXCLUSIVE; visits_us ACCESS EXCLUSIVE;
-- => visits_us_0 ACCESS EXCLUSIVE; visits_us_1 ACCESS EXCLUSIVE

-- may: maybe
ALTER TABLE visits ADD CONSTRAINT team_again FOREIGN KEY (team_id) REFERENCES teams;
-- => teams SHARE ROW EXCLUSIVE, scanned; visits SHARE ROW EXCLUSIVE; visits_eu SHARE ROW EXCLUSIVE, scanned;
-- => visits_us SHARE ROW EXCLUSIVE; visits_us_0 SHARE ROW EXCLUSIVE, scanned; visits_us_1 SHARE ROW EXCLUSIVE,
-- => scanned

-- may: maybe, idle
CREATE TABLE looks (id bigint, at date);
ALTER TABLE looks ADD FOREIGN KEY (id, at) REFERENCES events;
-- => events SHARE ROW EXCLUSIVE; events_2023 SHARE ROW EXCLUSIVE; events_2024 SHARE ROW EXCLUSIVE; events_rest
-- => SHARE ROW EXCLUSIVE; looks SHARE ROW EXCLUSIVE

-- may: maybe
CREATE TABLE looks (id bigint, at date);
INSERT INTO looks SELECT id, at FROM events;
ALTER TABLE looks ADD FOREIGN KEY (id, at) REFERENCES events;
-- => events SHARE ROW EXCLUSIVE; events_2023 SHARE ROW EXCLUSIVE, scanned; events_2024 SHARE ROW EXCLUSIVE,
-- => scanned; events_rest SHARE ROW EXCLUSIVE, scanned; looks SHARE ROW EXCLUSIVE, scanned

-- may: maybe
ALTER TABLE animals ADD CONSTRAINT team_key FOREIGN KEY (id) REFERENCES teams;
-- => animals SHARE ROW EXCLUSIVE, scanned; teams SHARE ROW EXCLUSIVE, scanned

ALTER TABLE plain ADD COLUMN new bigint, ADD CONSTRAINT new_key FOREIGN KEY (new) REFERENCES teams NOT VALID;
-- => plain ACCESS EXCLUSIVE; teams SHARE ROW EXCLUSIVE

-- Keys

ALTER TABLE plain ADD CONSTRAINT n_once UNIQUE (n);
-- => plain ACCESS EXCLUSIVE, scanned

ALTER TABLE plain ADD CONSTRAINT a_once UNIQUE USING INDEX plain_a;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain ADD CONSTRAINT no_overlap EXCLUDE USING btree (n WITH =);
-- => plain ACCESS EXCLUSIVE, scanned

ALTER TABLE app.notes DROP CONSTRAINT notes_pkey;
ALTER TABLE app.notes ADD PRIMARY KEY (id);
-- => app.notes ACCESS EXCLUSIVE, scanned

ALTER TABLE plain DROP CONSTRAINT plain_pkey;
ALTER TABLE plain ADD PRIMARY KEY (a);
-- => plain ACCESS EXCLUSIVE, scanned

ALTER TABLE plain DROP CONSTRAINT plain_pkey;
ALTER TABLE plain ADD CONSTRAINT plain_pkey PRIMARY KEY USING INDEX plain_c;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE plain DROP CONSTRAINT plain_pkey;
ALTER TABLE plain ADD CONSTRAINT plain_pkey PRIMARY KEY USING INDEX plain_a;
-- => plain ACCESS EXCLUSIVE, scanned

ALTER TABLE plain DROP CONSTRAINT plain_pkey;
CREATE UNIQUE INDEX plain_dd ON plain (d);
ALTER TABLE plain ADD PRIMARY KEY USING INDEX plain_dd;
-- => plain ACCESS EXCLUSIVE

CREATE UNIQUE INDEX notes_owner ON app.notes (id, owner);
ALTER TABLE app.notes ADD UNIQUE USING INDEX notes_owner;
-- => app.notes ACCESS EXCLUSIVE

ALTER TABLE plain DROP CONSTRAINT plain_pkey;
-- => plain ACCESS EXCLUSIVE

ALTER TABLE teams DROP CONSTRAINT teams_slug_key;
-- => teams ACCESS EXCLUSIVE

ALTER TABLE events ADD UNIQUE (at, id);
-- => events ACCESS EXCLUSIVE; events_2023 SHARE, scanned; events_2024 SHARE, scanned; events_rest SHARE, scanned

ALTER TABLE visits_eu ADD PRIMARY KEY (id);
-- => visits_eu ACCESS EXCLUSIVE, scanned

CREATE TABLE kept (id int, day date NOT NULL) PARTITION BY LIST (day);
CREATE TABLE kept_1 PARTITION OF kept FOR VALUES IN ('2024-01-01');
INSERT INTO kept SELECT n, '2024-01-01' FROM generate_series(1, 3000) n;
ALTER TABLE kept ADD PRIMARY KEY (id, day);
-- => kept ACCESS EXCLUSIVE; kept_1 ACCESS EXCLUSIVE, scanned

CREATE TABLE kept (id int NOT NULL, day date NOT NULL) PARTITION BY LIST (day);
CREATE TABLE kept_1 PARTITION OF kept FOR VALUES IN ('2024-01-01');
INSERT INTO kept SELECT n, '2024-01-01' FROM generate_series(1, 3000) n;
ALTER TABLE kept ADD PRIMARY KEY (id, day);
-- => kept ACCESS EXCLUSIVE; kept_1 SHARE, scanned

CREATE TABLE base (id int);
CREATE TABLE heir () INHERITS (base);
INSERT INTO base SELECT n FROM generate_series(1, 3000) n;
INSERT INTO heir SELECT n FROM generate_series(1, 3000) n;
ALTER TABLE base ADD PRIMARY KEY (id);
-- => base ACCESS EXCLUSIVE, scanned; heir ACCESS EXCLUSIVE, scanned

ALTER TABLE animals ADD UNIQUE (id);
-- => animals ACCESS EXCLUSIVE, scanned

ALTER TABLE animals ADD PRIMARY KEY (id);
-- => animals ACCESS EXCLUSIVE, scanned; dogs ACCESS EXCLUSIVE

ALTER TABLE events DROP CONSTRAINT events_pkey;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE; events_2024 ACCESS EXCLUSIVE; events_rest ACCESS
-- => EXCLUSIVE
