-- Views

CREATE VIEW new AS SELECT id FROM plain;
-- => plain ACCESS SHARE

CREATE VIEW new AS SELECT u.email, t.name FROM users u JOIN teams t ON t.id = u.team_id;
-- => teams ACCESS SHARE; users ACCESS SHARE

CREATE VIEW new AS SELECT * FROM old_names;
-- => old_names ACCESS SHARE

CREATE VIEW new AS SELECT * FROM events;
-- => events ACCESS SHARE

CREATE RECURSIVE VIEW new (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM new WHERE n < 5;
-- => nothing

CREATE OR REPLACE VIEW user_names AS SELECT id, email, age, team_id FROM users;
-- => user_names ACCESS EXCLUSIVE; users ACCESS SHARE

-- may: idle
CREATE OR REPLACE VIEW new AS SELECT id FROM plain;
-- => plain ACCESS SHARE

CREATE OR REPLACE VIEW old_names AS SELECT id, email FROM user_names WHERE age > 70;
-- => old_names ACCESS EXCLUSIVE; user_names ACCESS SHARE

ALTER VIEW user_names RENAME TO names_of_users;
-- => user_names ACCESS EXCLUSIVE

ALTER VIEW user_names SET SCHEMA app;
-- => user_names ACCESS EXCLUSIVE

ALTER VIEW user_names OWNER TO boss;
-- => user_names ACCESS EXCLUSIVE

ALTER VIEW user_names SET (security_barrier = on);
-- => user_names ACCESS EXCLUSIVE

ALTER VIEW user_names RESET (security_barrier);
-- => user_names ACCESS EXCLUSIVE

-- may: maybe
CREATE MATERIALIZED VIEW new AS SELECT * FROM plain;
-- => plain ACCESS SHARE, scanned

CREATE MATERIALIZED VIEW new AS SELECT * FROM old_names WITH NO DATA;
-- => old_names ACCESS SHARE

-- may: maybe
REFRESH MATERIALIZED VIEW team_sizes;
-- => team_sizes ACCESS EXCLUSIVE, scanned, rewritten; users ACCESS SHARE, scanned

REFRESH MATERIALIZED VIEW team_sizes WITH NO DATA;
-- => team_sizes ACCESS EXCLUSIVE, rewritten

-- may: maybe
REFRESH MATERIALIZED VIEW CONCURRENTLY team_sizes;
-- => team_sizes EXCLUSIVE, scanned; users ACCESS SHARE, scanned

-- may: maybe
CREATE MATERIALIZED VIEW over AS SELECT o.email FROM old_names o JOIN events e ON e.id = o.id;
REFRESH MATERIALIZED VIEW over;
-- => events ACCESS SHARE; events_2023 ACCESS SHARE, scanned; events_2024 ACCESS SHARE, scanned; events_rest ACCESS
-- => SHARE, scanned; old_names ACCESS SHARE; over ACCESS EXCLUSIVE, rewritten; user_names ACCESS SHARE; users
-- => ACCESS SHARE

ALTER MATERIALIZED VIEW team_sizes RENAME TO sizes;
-- => team_sizes ACCESS EXCLUSIVE

ALTER MATERIALIZED VIEW team_sizes SET (fillfactor = 90);
-- => team_sizes SHARE UPDATE EXCLUSIVE

ALTER MATERIALIZED VIEW team_sizes OWNER TO boss;
-- => team_sizes ACCESS EXCLUSIVE

-- Triggers, rules, policies

CREATE TRIGGER new AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION keep();
-- => plain SHARE ROW EXCLUSIVE

CREATE OR REPLACE TRIGGER users_keep AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep();
-- => users SHARE ROW EXCLUSIVE

CREATE CONSTRAINT TRIGGER new AFTER INSERT ON plain FROM teams DEFERRABLE FOR EACH ROW EXECUTE FUNCTION keep();
-- => plain SHARE ROW EXCLUSIVE; teams ACCESS SHARE

CREATE TRIGGER new INSTEAD OF INSERT ON user_names FOR EACH ROW EXECUTE FUNCTION keep();
-- => user_names SHARE ROW EXCLUSIVE

ALTER TRIGGER users_keep ON users RENAME TO users_retain;
-- => users ACCESS EXCLUSIVE

COMMENT ON TRIGGER users_keep ON users IS 'x';
-- => users ACCESS SHARE

CREATE RULE new AS ON INSERT TO plain DO INSTEAD NOTHING;
-- => plain ACCESS EXCLUSIVE

CREATE RULE new AS ON INSERT TO plain DO ALSO INSERT INTO serials (a) VALUES (NEW.a);
-- => plain ACCESS EXCLUSIVE; serials ROW EXCLUSIVE

CREATE OR REPLACE RULE nothing AS ON DELETE TO ruled DO INSTEAD NOTHING;
-- => ruled ACCESS EXCLUSIVE

CREATE RULE new AS ON UPDATE TO plain DO ALSO DELETE FROM scratch USING teams WHERE scratch.id = OLD.a;
-- => plain ACCESS EXCLUSIVE; scratch ROW EXCLUSIVE; teams ACCESS SHARE

ALTER RULE nothing ON ruled RENAME TO naught;
-- => ruled ACCESS EXCLUSIVE

CREATE POLICY new ON plain USING (a > 0);
-- => plain ACCESS EXCLUSIVE

CREATE POLICY new ON plain USING (EXISTS (SELECT FROM users WHERE users.id = plain.a));
-- => plain ACCESS EXCLUSIVE; users ACCESS SHARE

ALTER POLICY own ON app.notes USING (true);
-- => app.notes ACCESS EXCLUSIVE

ALTER POLICY own ON app.notes RENAME TO theirs;
-- => app.notes ACCESS EXCLUSIVE

ALTER POLICY own ON app.notes USING (EXISTS (SELECT FROM teams));
-- => app.notes ACCESS EXCLUSIVE; teams ACCESS SHARE

COMMENT ON POLICY own ON app.notes IS 'x';
-- => app.notes ACCESS SHARE

-- Rights and comments

GRANT SELECT ON plain TO clerk;
-- => nothing

GRANT SELECT (a), UPDATE (b) ON plain TO clerk;
-- => nothing

GRANT SELECT ON ALL TABLES IN SCHEMA app TO clerk;
-- => nothing

REVOKE ALL ON plain FROM clerk;
-- => nothing

GRANT USAGE ON SEQUENCE numbers TO clerk;
-- => nothing

GRANT USAGE ON SCHEMA app TO clerk;
-- => nothing

GRANT EXECUTE ON FUNCTION settled() TO clerk;
-- => nothing

GRANT boss TO clerk;
-- => nothing

ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO clerk;
-- => nothing

COMMENT ON TABLE plain IS 'x';
-- => plain SHARE UPDATE EXCLUSIVE

COMMENT ON VIEW user_names IS 'x';
-- => user_names SHARE UPDATE EXCLUSIVE

COMMENT ON MATERIALIZED VIEW team_sizes IS 'x';
-- => team_sizes SHARE UPDATE EXCLUSIVE

COMMENT ON SEQUENCE numbers IS 'x';
-- => numbers SHARE UPDATE EXCLUSIVE

COMMENT ON TYPE mood IS 'x';
-- => nothing

COMMENT ON FUNCTION settled() IS 'x';
-- => nothing

-- Publications

CREATE PUBLICATION new FOR TABLE plain, users;
-- => plain SHARE UPDATE EXCLUSIVE; users SHARE UPDATE EXCLUSIVE

CREATE PUBLICATION new FOR TABLE events;
-- => events SHARE UPDATE EXCLUSIVE

CREATE PUBLICATION new FOR TABLE animals;
-- => animals SHARE UPDATE EXCLUSIVE; dogs SHARE UPDATE EXCLUSIVE

CREATE PUBLICATION new FOR ALL TABLES;
-- => nothing

CREATE PUBLICATION new FOR TABLES IN SCHEMA app;
-- => nothing

ALTER PUBLICATION feed ADD TABLE plain;
-- => plain SHARE UPDATE EXCLUSIVE

-- may: unasked
ALTER PUBLICATION feed SET TABLE plain;
-- => plain SHARE UPDATE EXCLUSIVE; teams SHARE UPDATE EXCLUSIVE

ALTER PUBLICATION feed DROP TABLE teams;
-- => teams SHARE UPDATE EXCLUSIVE

ALTER PUBLICATION feed SET (publish = 'insert');
-- => nothing

ALTER PUBLICATION feed RENAME TO stream;
-- => nothing

ALTER PUBLICATION feed OWNER TO boss;
-- => nothing

-- Sequences

CREATE SEQUENCE new;
-- => nothing

CREATE SEQUENCE new OWNED BY plain.a;
-- => plain ACCESS SHARE

ALTER SEQUENCE numbers RESTART WITH 5;
-- => numbers SHARE ROW EXCLUSIVE

ALTER SEQUENCE numbers OWNED BY plain.a;
-- => numbers SHARE ROW EXCLUSIVE; plain ACCESS SHARE

ALTER SEQUENCE numbers OWNED BY NONE;
-- => numbers SHARE ROW EXCLUSIVE

-- may: idle
ALTER SEQUENCE IF EXISTS nothing RESTART;
-- => nothing

ALTER SEQUENCE numbers AS smallint;
-- => numbers SHARE ROW EXCLUSIVE

ALTER SEQUENCE numbers RENAME TO counts;
-- => numbers ACCESS EXCLUSIVE

ALTER SEQUENCE numbers SET SCHEMA app;
-- => numbers ACCESS EXCLUSIVE

ALTER SEQUENCE numbers OWNER TO boss;
-- => numbers ACCESS EXCLUSIVE

ALTER SEQUENCE serials_id_seq INCREMENT BY 10;
-- => serials_id_seq SHARE ROW EXCLUSIVE

-- Types, domains, functions, schemas

CREATE TYPE new AS ENUM ('a', 'b');
-- => nothing

CREATE TYPE new AS (a int, b text);
-- => nothing

CREATE TYPE new AS RANGE (subtype = int);
-- => nothing

ALTER TYPE mood ADD VALUE 'angry';
-- => nothing

ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok';
-- => nothing

ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
-- => nothing

ALTER TYPE mood RENAME TO humour;
-- => nothing

ALTER TYPE mood OWNER TO boss;
-- => nothing

ALTER TYPE mood SET SCHEMA app;
-- => nothing

-- may: idle
CREATE TYPE lonely AS (a int);
ALTER TYPE lonely ADD ATTRIBUTE b int;
-- => nothing

ALTER TYPE pair ADD ATTRIBUTE c int CASCADE;
-- => typed ACCESS EXCLUSIVE

ALTER TYPE pair RENAME ATTRIBUTE a TO z CASCADE;
-- => typed ACCESS EXCLUSIVE

ALTER TYPE pair DROP ATTRIBUTE b CASCADE;
-- => typed ACCESS EXCLUSIVE

ALTER TYPE pair RENAME TO couple;
-- => nothing

CREATE DOMAIN new AS int CHECK (VALUE > 0);
-- => nothing

-- may: hidden
ALTER DOMAIN label ADD CONSTRAINT filled CHECK (VALUE <> '');
-- => things SHARE, scanned

ALTER DOMAIN label ADD CONSTRAINT filled CHECK (VALUE <> '') NOT VALID;
-- => nothing

-- may: hidden
ALTER DOMAIN label ADD CONSTRAINT filled CHECK (VALUE <> '') NOT VALID;
ALTER DOMAIN label VALIDATE CONSTRAINT filled;
-- => things SHARE, scanned

-- may: hidden
ALTER DOMAIN label SET NOT NULL;
-- => things SHARE, scanned

ALTER DOMAIN label DROP NOT NULL;
-- => nothing

ALTER DOMAIN label SET DEFAULT 'x';
-- => nothing

ALTER DOMAIN positive DROP CONSTRAINT positive_check;
-- => nothing

ALTER DOMAIN label RENAME TO sticker;
-- => nothing

-- may: idle
CREATE DOMAIN unused AS int;
ALTER DOMAIN unused SET NOT NULL;
-- => nothing

CREATE FUNCTION new() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM plain';
-- => plain ACCESS SHARE

CREATE FUNCTION new() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM plain; END;
-- => plain ACCESS SHARE

CREATE FUNCTION new() RETURNS SETOF plain LANGUAGE sql AS 'SELECT * FROM plain';
-- => plain ACCESS SHARE

CREATE OR REPLACE FUNCTION settled() RETURNS int LANGUAGE sql AS 'SELECT 2';
-- => nothing

CREATE PROCEDURE new() LANGUAGE sql AS 'DELETE FROM plain';
-- => plain ROW EXCLUSIVE

ALTER FUNCTION settled() VOLATILE;
-- => nothing

CREATE PROCEDURE act() LANGUAGE sql AS 'SELECT 1';
ALTER PROCEDURE act() SECURITY DEFINER;
-- => nothing

CREATE FUNCTION new() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM plain); END';
-- => nothing

ALTER FUNCTION settled() RENAME TO calm;
-- => nothing

ALTER FUNCTION settled() OWNER TO boss;
-- => nothing

CREATE AGGREGATE new (int) (sfunc = int4pl, stype = int);
-- => nothing

CREATE SCHEMA new;
-- => nothing

CREATE SCHEMA new CREATE TABLE inner_table (id int, t bigint REFERENCES public.teams) CREATE VIEW inner_view AS SELECT id FROM public.plain;
-- => plain ACCESS SHARE; teams SHARE ROW EXCLUSIVE

ALTER SCHEMA app RENAME TO application;
-- => nothing

ALTER SCHEMA app OWNER TO boss;
-- => nothing

CREATE EXTENSION pageinspect;
-- => nothing

CREATE CAST (mood AS int) WITH INOUT;
-- => nothing

CREATE ROLE new_role;
-- => nothing

ALTER ROLE clerk NOLOGIN;
-- => nothing

ALTER ROLE clerk SET work_mem = '5MB';
-- => nothing

ALTER DATABASE postgres SET work_mem = '5MB';
-- => nothing

SET work_mem = '8MB';
-- => nothing

RESET work_mem;
-- => nothing

SET CONSTRAINTS ALL DEFERRED;
-- => nothing

CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER new ON ddl_command_end EXECUTE FUNCTION look();
-- => nothing

-- Of the database and the server

CREATE EXTENSION citext;
ALTER EXTENSION citext SET SCHEMA app;
-- => nothing

CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER looking ON ddl_command_end EXECUTE FUNCTION look();
ALTER EVENT TRIGGER looking DISABLE;
-- => nothing

CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER looking ON ddl_command_end EXECUTE FUNCTION look();
DROP EVENT TRIGGER looking;
-- => nothing

CREATE FOREIGN DATA WRAPPER new;
-- => nothing

CREATE SERVER new FOREIGN DATA WRAPPER nowhere;
-- => nothing

CREATE USER MAPPING FOR clerk SERVER far;
-- => nothing

ALTER FOREIGN TABLE distant ALTER COLUMN a OPTIONS (ADD x 'y');
-- => distant ACCESS EXCLUSIVE

CREATE ROLE leaver;
DROP ROLE leaver;
-- => nothing

REVOKE boss FROM clerk;
-- => nothing

CREATE SUBSCRIPTION new CONNECTION 'dbname=nothing' PUBLICATION feed WITH (connect = false);
-- => nothing

CREATE COLLATION new (locale = 'C');
-- => nothing

CREATE TEXT SEARCH CONFIGURATION new (copy = simple);
-- => nothing

CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
-- => nothing

-- may: unlisted
CREATE PROCEDURE act() LANGUAGE sql AS 'DELETE FROM items';
CALL act();
-- => items ROW EXCLUSIVE, scanned

ALTER TABLE ruled ENABLE ALWAYS RULE nothing;
-- => ruled ACCESS EXCLUSIVE

ALTER TABLE users ENABLE REPLICA TRIGGER users_keep;
-- => users SHARE ROW EXCLUSIVE

ALTER TABLE users ENABLE TRIGGER ALL;
-- => users SHARE ROW EXCLUSIVE

ALTER TABLE plain SET WITHOUT OIDS;
-- => plain ACCESS EXCLUSIVE

GRANT SELECT ON ALL SEQUENCES IN SCHEMA app TO clerk;
-- => nothing

GRANT ALL ON TYPE mood TO clerk;
-- => nothing

GRANT CONNECT ON DATABASE postgres TO clerk;
-- => nothing

COMMENT ON SCHEMA app IS 'x';
-- => nothing

COMMENT ON DOMAIN positive IS 'x';
-- => nothing

COMMENT ON RULE nothing ON ruled IS 'x';
-- => ruled ACCESS SHARE
