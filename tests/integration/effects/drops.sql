-- DROP

DROP TABLE plain;
-- => plain ACCESS EXCLUSIVE

-- may: idle
DROP TABLE IF EXISTS nothing;
-- => nothing

DROP TABLE items;
-- => items ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE

DROP TABLE orders CASCADE;
-- => items ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE; users ACCESS EXCLUSIVE

DROP TABLE users CASCADE;
-- => big_teams ACCESS EXCLUSIVE; old_names ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE; team_sizes ACCESS EXCLUSIVE;
-- => teams ACCESS EXCLUSIVE; user_names ACCESS EXCLUSIVE; users ACCESS EXCLUSIVE

DROP TABLE teams CASCADE;
-- => teams ACCESS EXCLUSIVE; users ACCESS EXCLUSIVE; visits ACCESS EXCLUSIVE; visits_eu ACCESS EXCLUSIVE; visits_us
-- => ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE; visits_us_1 ACCESS EXCLUSIVE

DROP TABLE serials;
-- => serials ACCESS EXCLUSIVE

DROP TABLE animals CASCADE;
-- => animals ACCESS EXCLUSIVE; dogs ACCESS EXCLUSIVE

DROP TABLE dogs;
-- => dogs ACCESS EXCLUSIVE

DROP TABLE visits_us_0;
-- => visits_us ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE

DROP TABLE visits_us;
-- => visits ACCESS EXCLUSIVE; visits_us ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE; visits_us_1 ACCESS
-- => EXCLUSIVE

DROP TABLE app.notes;
-- => app.notes ACCESS EXCLUSIVE

DROP TABLE plain, scratch;
-- => plain ACCESS EXCLUSIVE; scratch ACCESS EXCLUSIVE

DROP FOREIGN TABLE distant;
-- => distant ACCESS EXCLUSIVE

DROP VIEW old_names;
-- => old_names ACCESS EXCLUSIVE

DROP VIEW user_names CASCADE;
-- => old_names ACCESS EXCLUSIVE; user_names ACCESS EXCLUSIVE

-- may: idle
DROP VIEW IF EXISTS nothing;
-- => nothing

DROP MATERIALIZED VIEW team_sizes CASCADE;
-- => big_teams ACCESS EXCLUSIVE; team_sizes ACCESS EXCLUSIVE

DROP TRIGGER users_keep ON users;
-- => users ACCESS EXCLUSIVE

-- may: cautious
DROP TRIGGER IF EXISTS nothing ON users;
-- => nothing

DROP RULE nothing ON ruled;
-- => ruled ACCESS EXCLUSIVE

DROP POLICY own ON app.notes;
-- => app.notes ACCESS EXCLUSIVE

DROP SEQUENCE numbers;
-- => numbers ACCESS EXCLUSIVE

-- may: unasked
DROP SEQUENCE serials_id_seq CASCADE;
-- => serials ACCESS EXCLUSIVE

CREATE TYPE lonely AS ENUM ('a');
DROP TYPE lonely;
-- => nothing

DROP TYPE mood CASCADE;
-- => things ACCESS EXCLUSIVE

CREATE DOMAIN lonely AS int;
DROP DOMAIN lonely;
-- => nothing

DROP DOMAIN label CASCADE;
-- => things ACCESS EXCLUSIVE

DROP TYPE pair CASCADE;
-- => typed ACCESS EXCLUSIVE

DROP FUNCTION settled();
-- => nothing

DROP FUNCTION keep() CASCADE;
-- => users ACCESS EXCLUSIVE

DROP FUNCTION IF EXISTS nothing();
-- => nothing

-- may: unlisted
ALTER TABLE plain ALTER COLUMN a SET DEFAULT settled();
DROP FUNCTION settled() CASCADE;
-- => plain ACCESS EXCLUSIVE

DROP PUBLICATION feed;
-- => nothing

CREATE SCHEMA empty;
DROP SCHEMA empty;
-- => nothing

DROP SCHEMA app CASCADE;
-- => app.notes ACCESS EXCLUSIVE

-- may: unlisted
CREATE EXTENSION pageinspect;
DROP EXTENSION pageinspect;
-- => nothing

-- may: unlisted
CREATE EXTENSION citext;
CREATE TABLE soft (a citext);
DROP EXTENSION citext CASCADE;
-- => soft ACCESS EXCLUSIVE

-- may: unlisted
DROP SERVER far CASCADE;
-- => distant ACCESS EXCLUSIVE

-- may: unlisted
DROP OWNED BY clerk;
-- => nothing

-- may: unlisted
REASSIGN OWNED BY clerk TO boss;
-- => nothing

-- may: cautious
DROP STATISTICS IF EXISTS nothing;
-- => nothing

-- may: cautious
DROP POLICY IF EXISTS nothing ON plain;
-- => nothing

-- may: cautious
DROP RULE IF EXISTS nothing ON plain;
-- => nothing

CREATE AGGREGATE sum_all (int) (sfunc = int4pl, stype = int);
DROP AGGREGATE sum_all(int);
-- => nothing

CREATE PROCEDURE act() LANGUAGE sql AS 'SELECT 1';
DROP PROCEDURE act();
-- => nothing

CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
DROP OPERATOR === (int, int);
-- => nothing

CREATE CAST (mood AS int) WITH INOUT;
DROP CAST (mood AS int);
-- => nothing

CREATE COLLATION own (locale = 'C');
DROP COLLATION own;
-- => nothing

CREATE TEXT SEARCH CONFIGURATION own (copy = simple);
DROP TEXT SEARCH CONFIGURATION own;
-- => nothing

CREATE FOREIGN DATA WRAPPER own;
DROP FOREIGN DATA WRAPPER own;
-- => nothing

CREATE SERVER own FOREIGN DATA WRAPPER nowhere;
DROP SERVER own;
-- => nothing

-- may: cautious
CREATE SUBSCRIPTION own CONNECTION 'dbname=nothing' PUBLICATION feed WITH (connect = false);
ALTER SUBSCRIPTION own SET (slot_name = NONE);
DROP SUBSCRIPTION own;
-- => nothing

DROP TABLE events_rest;
-- => events ACCESS EXCLUSIVE; events_rest ACCESS EXCLUSIVE

DROP TABLE visits_us CASCADE;
-- => visits ACCESS EXCLUSIVE; visits_us ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE; visits_us_1 ACCESS
-- => EXCLUSIVE

CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int PRIMARY KEY REFERENCES a);
CREATE VIEW over_both AS SELECT a.id FROM a JOIN b USING (id);
DROP TABLE a, b CASCADE;
-- => a ACCESS EXCLUSIVE; b ACCESS EXCLUSIVE; over_both ACCESS EXCLUSIVE
