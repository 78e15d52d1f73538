-- Reading: what is read as a whole is the planner's choice

-- may: maybe
SELECT count(*) FROM plain;
-- => plain ACCESS SHARE, scanned

-- may: maybe
SELECT * FROM plain WHERE id = 7;
-- => plain ACCESS SHARE

-- may: maybe
SELECT * FROM events;
-- => events ACCESS SHARE; events_2023 ACCESS SHARE, scanned; events_2024 ACCESS SHARE, scanned; events_rest ACCESS
-- => SHARE, scanned

-- may: maybe
SELECT * FROM ONLY animals;
-- => animals ACCESS SHARE, scanned

-- may: maybe
SELECT * FROM animals;
-- => animals ACCESS SHARE, scanned; dogs ACCESS SHARE, scanned

-- may: maybe
SELECT * FROM old_names;
-- => old_names ACCESS SHARE; user_names ACCESS SHARE; users ACCESS SHARE

-- may: maybe
SELECT * FROM users JOIN teams ON teams.id = team_id;
-- => teams ACCESS SHARE, scanned; users ACCESS SHARE, scanned

-- may: maybe
SELECT * FROM plain FOR UPDATE;
-- => plain ROW SHARE, scanned

-- may: maybe
SELECT * FROM plain, teams WHERE plain.id = teams.id FOR SHARE OF plain;
-- => plain ROW SHARE, scanned; teams ACCESS SHARE, scanned

-- may: maybe
SELECT * FROM old_names FOR UPDATE;
-- => old_names ROW SHARE; user_names ROW SHARE; users ROW SHARE

-- may: maybe
SELECT * FROM events FOR KEY SHARE;
-- => events ROW SHARE; events_2023 ROW SHARE, scanned; events_2024 ROW SHARE, scanned; events_rest ROW SHARE,
-- => scanned

-- may: maybe
WITH few AS (SELECT * FROM plain) SELECT * FROM few;
-- => plain ACCESS SHARE, scanned

SELECT 1;
-- => nothing

SELECT nextval('numbers');
-- => nothing

-- INSERT

INSERT INTO plain (id, c, d, e) VALUES (10000, 10000, 1, 1);
-- => plain ROW EXCLUSIVE

-- may: maybe
INSERT INTO scratch SELECT id + 10000, b FROM plain;
-- => plain ACCESS SHARE, scanned; scratch ROW EXCLUSIVE

INSERT INTO users VALUES (10000, 1, 1, 'someone', 5);
-- => teams ROW SHARE; users ROW EXCLUSIVE

INSERT INTO teams (name, slug) VALUES ('new', 'new');
-- => teams ROW EXCLUSIVE

INSERT INTO items VALUES (10000, 1, 2);
-- => items ROW EXCLUSIVE; orders ROW SHARE

INSERT INTO plain (id, c, d, e) VALUES (1, 1, 1, 1) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a + 10000;
-- => plain ROW EXCLUSIVE

INSERT INTO plain (id, c, d, e) VALUES (1, 1, 1, 1) ON CONFLICT DO NOTHING;
-- => plain ROW EXCLUSIVE

-- may: routed
INSERT INTO events VALUES (10000, '2023-05-05', 'k');
-- => events ROW EXCLUSIVE; events_2023 ROW EXCLUSIVE

-- may: routed
INSERT INTO visits VALUES (10000, 1, 'eu');
-- => teams ROW SHARE; visits ROW EXCLUSIVE; visits_eu ROW EXCLUSIVE

-- may: routed
INSERT INTO visits_eu VALUES (10000, 1, 'eu');
-- => teams ROW SHARE; visits ACCESS SHARE; visits_eu ROW EXCLUSIVE

INSERT INTO animals VALUES (10000, 'x');
-- => animals ROW EXCLUSIVE

CREATE VIEW beasts AS SELECT * FROM animals;
INSERT INTO beasts VALUES (10000, 'x');
-- => animals ROW EXCLUSIVE; beasts ROW EXCLUSIVE

INSERT INTO serials (a) VALUES (5);
-- => serials ROW EXCLUSIVE

-- UPDATE

UPDATE plain SET b = 'x';
-- => plain ROW EXCLUSIVE, scanned

UPDATE plain SET b = 'x' WHERE a = 7;
-- => plain ROW EXCLUSIVE

UPDATE plain SET b = 'x' WHERE id = 7;
-- => plain ROW EXCLUSIVE

UPDATE users SET age = 5;
-- => users ROW EXCLUSIVE, scanned

UPDATE users SET team_id = 5 WHERE id = 7;
-- => teams ROW SHARE; users ROW EXCLUSIVE

-- may: maybe
UPDATE users SET id = 10000 WHERE id = 2700;
-- => orders ROW SHARE; users ROW EXCLUSIVE, scanned

UPDATE teams SET name = 'x' WHERE id = 7;
-- => teams ROW EXCLUSIVE

UPDATE events SET kind = 'x';
-- => events ROW EXCLUSIVE; events_2023 ROW EXCLUSIVE, scanned; events_2024 ROW EXCLUSIVE, scanned; events_rest ROW
-- => EXCLUSIVE, scanned

UPDATE animals SET name = 'x';
-- => animals ROW EXCLUSIVE, scanned; dogs ROW EXCLUSIVE, scanned

UPDATE ONLY animals SET name = 'x';
-- => animals ROW EXCLUSIVE, scanned

-- may: maybe
UPDATE user_names SET age = 5 WHERE id = 7;
-- => user_names ROW EXCLUSIVE; users ROW EXCLUSIVE

-- may: maybe, idle
UPDATE old_names SET email = 'xxx';
-- => old_names ROW EXCLUSIVE; user_names ROW EXCLUSIVE; users ROW EXCLUSIVE

-- may: maybe
UPDATE plain SET b = t.name FROM teams t WHERE t.id = plain.id;
-- => plain ROW EXCLUSIVE, scanned; teams ACCESS SHARE, scanned

UPDATE visits SET team_id = 5;
-- => teams ROW SHARE; visits ROW EXCLUSIVE; visits_eu ROW EXCLUSIVE, scanned; visits_us ROW EXCLUSIVE; visits_us_0
-- => ROW EXCLUSIVE, scanned; visits_us_1 ROW EXCLUSIVE, scanned

-- may: routed
UPDATE visits_eu SET team_id = 5;
-- => teams ROW SHARE; visits_eu ROW EXCLUSIVE, scanned

DELETE FROM visits_eu;
-- => visits_eu ROW EXCLUSIVE, scanned

-- DELETE

DELETE FROM plain;
-- => plain ROW EXCLUSIVE, scanned

-- may: maybe
DELETE FROM plain WHERE a < 7;
-- => plain ROW EXCLUSIVE

DELETE FROM items WHERE id = 7;
-- => items ROW EXCLUSIVE

-- may: maybe
DELETE FROM orders WHERE id > 1500;
-- => items ROW SHARE, scanned; orders ROW EXCLUSIVE

DELETE FROM items;
-- => items ROW EXCLUSIVE, scanned

-- may: maybe
DELETE FROM orders WHERE id = 1500;
-- => items ROW SHARE, scanned; orders ROW EXCLUSIVE

-- may: maybe
DELETE FROM users WHERE id = 1500;
-- => items ROW SHARE, scanned; orders ROW EXCLUSIVE; users ROW EXCLUSIVE, scanned

-- may: maybe
DELETE FROM teams WHERE id = 2900;
-- => teams ROW EXCLUSIVE; users ROW SHARE; visits ROW SHARE; visits_eu ROW SHARE, scanned; visits_us ROW SHARE;
-- => visits_us_0 ROW SHARE, scanned; visits_us_1 ROW SHARE, scanned

DELETE FROM events;
-- => events ROW EXCLUSIVE; events_2023 ROW EXCLUSIVE, scanned; events_2024 ROW EXCLUSIVE, scanned; events_rest ROW
-- => EXCLUSIVE, scanned

DELETE FROM ONLY animals;
-- => animals ROW EXCLUSIVE, scanned

-- may: maybe
DELETE FROM animals WHERE id = 7;
-- => animals ROW EXCLUSIVE, scanned; dogs ROW EXCLUSIVE, scanned

-- may: maybe, idle
DELETE FROM ruled;
-- => ruled ROW EXCLUSIVE

-- may: maybe
DELETE FROM plain USING teams WHERE teams.id = plain.a;
-- => plain ROW EXCLUSIVE, scanned; teams ACCESS SHARE, scanned

-- may: maybe
DELETE FROM user_names WHERE id = 1500;
-- => items ROW SHARE, scanned; orders ROW EXCLUSIVE; user_names ROW EXCLUSIVE; users ROW EXCLUSIVE, scanned

-- MERGE and WITH

-- may: maybe
MERGE INTO plain USING teams ON teams.id = plain.id WHEN MATCHED THEN UPDATE SET b = teams.name;
-- => plain ROW EXCLUSIVE, scanned; teams ACCESS SHARE, scanned

-- may: maybe
MERGE INTO plain USING teams ON teams.id = plain.id + 10000 WHEN NOT MATCHED THEN DO NOTHING WHEN MATCHED THEN DELETE;
-- => plain ROW EXCLUSIVE, scanned; teams ACCESS SHARE, scanned

WITH gone AS (DELETE FROM plain WHERE a = 7 RETURNING *) INSERT INTO scratch SELECT id + 10000, b FROM gone;
-- => plain ROW EXCLUSIVE; scratch ROW EXCLUSIVE

WITH gone AS (DELETE FROM plain RETURNING *) SELECT count(*) FROM gone;
-- => plain ROW EXCLUSIVE, scanned

WITH added AS (INSERT INTO teams (name, slug) VALUES ('new', 'new') RETURNING id) SELECT * FROM added;
-- => teams ROW EXCLUSIVE

-- Code that only the server sees

-- may: maybe, unlisted
COPY plain (id, c) TO '/dev/null';
-- => plain ACCESS SHARE, scanned

-- may: unlisted
DO $$ BEGIN DELETE FROM plain; END $$;
-- => plain ROW EXCLUSIVE, scanned
