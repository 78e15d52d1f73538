-- The tables on which the statements of the other files are run.
DO $$ BEGIN
  CREATE ROLE clerk;
  CREATE ROLE boss;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN label AS text;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION steady(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION settled() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION fickle() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';

-- What others point to.
CREATE TABLE teams (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  slug varchar(40) NOT NULL UNIQUE
);
INSERT INTO teams (name, slug) SELECT 'team ' || n, 's' || n FROM generate_series(1, 3000) n;

CREATE TABLE users (
  id bigint PRIMARY KEY,
  team_id bigint NOT NULL CONSTRAINT users_team REFERENCES teams,
  buddy_id bigint CONSTRAINT users_buddy REFERENCES users,
  email varchar(100) NOT NULL,
  age int,
  CONSTRAINT age_sane CHECK (age >= 0)
);
ALTER TABLE users ADD CONSTRAINT email_long CHECK (length(email) > 2) NOT VALID;
CREATE INDEX users_team_id ON users (team_id);
CREATE INDEX users_email_lower ON users (lower(email));
CREATE INDEX users_old ON users (id) WHERE age > 60;
CREATE STATISTICS users_stats ON team_id, age FROM users;
INSERT INTO users SELECT n, least(n, 2500), NULL, 'u' || n || '@example.org', n % 90 FROM generate_series(1, 3000) n;
CREATE TRIGGER users_keep BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep();

CREATE TABLE orders (
  id bigint PRIMARY KEY,
  user_id bigint NOT NULL CONSTRAINT orders_user REFERENCES users ON DELETE CASCADE,
  price numeric(10, 2) NOT NULL
);
CREATE INDEX orders_user_id ON orders (user_id);
INSERT INTO orders SELECT n, n, n FROM generate_series(1, 2000) n;

CREATE TABLE items (
  id bigint PRIMARY KEY,
  order_id bigint CONSTRAINT items_order REFERENCES orders,
  late_id bigint
);
ALTER TABLE items ADD CONSTRAINT items_late FOREIGN KEY (late_id) REFERENCES orders NOT VALID;
INSERT INTO items SELECT n, n % 1000 + 1, n % 1000 + 1 FROM generate_series(1, 3000) n;

-- Hangs together with nothing.
CREATE TABLE plain (id int PRIMARY KEY, a int, b text, c int NOT NULL DEFAULT 0, d int, e int, n int);
INSERT INTO plain SELECT n, n, 'b' || n, n, n, n, n FROM generate_series(1, 3000) n;
CREATE UNIQUE INDEX plain_a ON plain (a);
CREATE UNIQUE INDEX plain_c ON plain (c);
CREATE INDEX plain_d ON plain (d);
ALTER TABLE plain ADD CONSTRAINT d_set CHECK (d IS NOT NULL);
ALTER TABLE plain ADD CONSTRAINT e_set CHECK (e IS NOT NULL) NOT VALID;

CREATE TABLE app.notes (id int PRIMARY KEY, owner text, body text);
INSERT INTO app.notes SELECT n, 'boss', 'note' FROM generate_series(1, 3000) n;
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.notes USING (owner = current_user);
CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY, a text);
INSERT INTO scratch SELECT n, 'x' FROM generate_series(1, 3000) n;
CREATE TABLE typed OF pair;
INSERT INTO typed SELECT n, 'x' FROM generate_series(1, 3000) n;
CREATE TABLE ruled (id int PRIMARY KEY);
INSERT INTO ruled SELECT n FROM generate_series(1, 3000) n;
CREATE RULE nothing AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE SEQUENCE numbers;
CREATE TABLE serials (id serial PRIMARY KEY, a int);
INSERT INTO serials (a) SELECT n FROM generate_series(1, 3000) n;

-- Columns of many types.
CREATE TABLE things (
  id int PRIMARY KEY,
  v20 varchar(20), v varchar, t text, c10 char(10), b8 bit(8), vb8 varbit(8), vb varbit,
  n10 numeric(10, 2), n numeric, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, o oid,
  ts timestamp, ts3 timestamp(3), tz timestamptz, tz3 timestamptz(3), tm time(3), iv interval, iv3 interval(3),
  net cidr, addr inet, m mood, p positive, l label, va varchar(20)[], ia int[], na numeric(10, 2)[], x xml, j json, jb jsonb, u uuid, bo boolean,
  indexed varchar(20), expressed varchar(20), checked varchar(20) CHECK (checked <> ''), source varchar(20),
  made varchar(50) GENERATED ALWAYS AS (source || '!') STORED, filtered varchar(20), included varchar(20), i4i int, cidri cidr
);
INSERT INTO things (id, v20, v, t, c10, b8, vb8, vb, n10, n, i2, i4, i8, f4, f8, o, ts, ts3, tz, tz3, tm, iv, iv3, net,
  addr, m, p, l, va, ia, na, j, jb, bo, indexed, expressed, checked, source, filtered, included, i4i, cidri)
  SELECT n, '1', '1', '1', '1', '10101010', '1010', '1010', 1, 1, 1, 1, 1, 1, 1, 1, now(), now(), now(), now(), '10:00', '1 day',
  '1 day', '10.0.0.0/8', '10.0.0.1', 'ok', 1, 'x', '{1}', '{1}', '{1}', '{}', '{}', true, n::text, 'x', 'x', 'x', 'x', 'x', n,
  '10.0.0.0/8' FROM generate_series(1, 300) n;
CREATE INDEX things_indexed ON things (indexed);
CREATE INDEX things_expressed ON things (upper(expressed));
CREATE INDEX things_filtered ON things (id) WHERE filtered <> '';
CREATE INDEX things_included ON things (id) INCLUDE (included);
CREATE INDEX things_i4i ON things (i4i);
CREATE INDEX things_cidri ON things (cidri);

-- Partitioned: with a default partition, and with foreign keys.
CREATE TABLE events (id bigint, at date NOT NULL, kind text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX events_kind ON events (kind);
INSERT INTO events SELECT n, '2023-01-01'::date + n % 1000, 'k' FROM generate_series(1, 6000) n;

CREATE TABLE visits (
  id bigint,
  team_id bigint NOT NULL CONSTRAINT visits_team REFERENCES teams,
  region text NOT NULL
) PARTITION BY LIST (region);
CREATE TABLE visits_eu PARTITION OF visits FOR VALUES IN ('eu');
CREATE TABLE visits_us PARTITION OF visits FOR VALUES IN ('us') PARTITION BY HASH (id);
CREATE TABLE visits_us_0 PARTITION OF visits_us FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE visits_us_1 PARTITION OF visits_us FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO visits SELECT n, n % 2000 + 1, CASE WHEN n % 3 = 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 6000) n;

-- To be attached.
CREATE TABLE events_2026 (id bigint NOT NULL, at date NOT NULL, kind text);
INSERT INTO events_2026 SELECT n, '2026-01-01', 'k' FROM generate_series(1, 3000) n;
CREATE TABLE events_2027 (id bigint NOT NULL, at date NOT NULL, kind text,
  CONSTRAINT its_year CHECK (at >= '2027-01-01' AND at < '2028-01-01'));
INSERT INTO events_2027 SELECT n, '2027-01-01', 'k' FROM generate_series(1, 3000) n;
CREATE TABLE visits_as (id bigint, team_id bigint NOT NULL, region text NOT NULL);
INSERT INTO visits_as SELECT n, n, 'as' FROM generate_series(1, 3000) n;

-- Inheritance.
CREATE TABLE animals (id int NOT NULL, name text);
CREATE TABLE dogs (breed text) INHERITS (animals);
ALTER TABLE animals ADD CONSTRAINT animals_named CHECK (name <> '') NOT VALID;
CREATE TABLE cats (id int NOT NULL, name text, CONSTRAINT animals_named CHECK (name <> ''));
INSERT INTO animals SELECT n, 'a' FROM generate_series(1, 3000) n;
INSERT INTO dogs SELECT n, 'd', 'b' FROM generate_series(1, 3000) n;

CREATE VIEW user_names AS SELECT id, email, age FROM users;
CREATE VIEW old_names AS SELECT id, email FROM user_names WHERE age > 60;
CREATE VIEW all_events AS SELECT * FROM events;
CREATE MATERIALIZED VIEW team_sizes AS SELECT team_id, count(*) AS size FROM users GROUP BY team_id;
CREATE UNIQUE INDEX team_sizes_team ON team_sizes (team_id);
CREATE VIEW big_teams AS SELECT team_id FROM team_sizes WHERE size > 10;
CREATE PUBLICATION feed FOR TABLE teams;

CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE distant (id int, a text) SERVER far;
