-- ALTER COLUMN … TYPE: strings

ALTER TABLE things ALTER COLUMN v20 TYPE varchar(40);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v20 TYPE varchar(10);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE varchar(20);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v20 TYPE varchar;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v20 TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v TYPE varchar(40);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN t TYPE varchar;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN t TYPE varchar(100);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN t TYPE text COLLATE "C";
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN c10 TYPE char(20);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN c10 TYPE text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN c10 TYPE varchar(10);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE char(20);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN t TYPE bytea USING t::bytea;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN b8 TYPE bit(16) USING b8::bit(16);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN b8 TYPE varbit;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN b8 TYPE varbit(8);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN vb8 TYPE varbit(16);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN vb8 TYPE varbit(4);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN vb8 TYPE varbit;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN vb TYPE varbit(64);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN vb TYPE bit(4);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

-- Numbers

ALTER TABLE things ALTER COLUMN n10 TYPE numeric(12, 2);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN n10 TYPE numeric(8, 2);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN n10 TYPE numeric(12, 4);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN n10 TYPE numeric(12);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN n10 TYPE numeric;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN n TYPE numeric(10, 2);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN n TYPE decimal;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN i2 TYPE int;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN i4 TYPE bigint;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN i8 TYPE int;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN i4 TYPE oid;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN o TYPE int;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN o TYPE regclass;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN i4 TYPE text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN f4 TYPE float8;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN bo TYPE int USING bo::int;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN i4 TYPE int;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN i4 TYPE int USING i4 + 1;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN i4 TYPE bigint USING i4;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE text USING v20::text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v20 TYPE text USING lower(v20);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE text USING v;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE varchar(40) USING v20::varchar(40);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v20 TYPE varchar(40) USING v20::text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

-- Times

ALTER TABLE things ALTER COLUMN ts TYPE timestamptz;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN tz TYPE timestamp;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN ts3 TYPE timestamptz;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN ts3 TYPE timestamptz(3);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ts TYPE timestamptz(3);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ts3 TYPE timestamptz(6);
-- => things ACCESS EXCLUSIVE

DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Europe/Berlin'); END $$;
ALTER TABLE things ALTER COLUMN ts TYPE timestamptz;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Etc/UTC'); END $$;
ALTER TABLE things ALTER COLUMN tz TYPE timestamp;
-- => things ACCESS EXCLUSIVE

DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Africa/Abidjan'); END $$;
ALTER TABLE things ALTER COLUMN tz TYPE timestamp;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Europe/London'); END $$;
ALTER TABLE things ALTER COLUMN tz TYPE timestamp;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ts TYPE timestamptz USING ts AT TIME ZONE 'UTC';
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ts TYPE timestamp(3);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ts TYPE timestamp(6);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN ts3 TYPE timestamp(6);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN ts3 TYPE timestamp;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN ts3 TYPE timestamp(1);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN tz3 TYPE timestamptz(4);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN tm TYPE time(6);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN tm TYPE time(2);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ts TYPE date;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN iv TYPE interval(6);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv TYPE interval(3);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN iv3 TYPE interval(6);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv3 TYPE interval;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv TYPE interval day to second;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv TYPE interval year to month;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN iv3 TYPE interval hour to second(6);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv3 TYPE interval hour to second(2);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN iv TYPE interval day to hour;
ALTER TABLE things ALTER COLUMN iv TYPE interval day to minute;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv TYPE interval day to hour;
ALTER TABLE things ALTER COLUMN iv TYPE interval;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN iv TYPE interval day to hour;
ALTER TABLE things ALTER COLUMN iv TYPE interval day;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

-- Networks, enums, domains, arrays, documents

ALTER TABLE things ALTER COLUMN net TYPE inet;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN addr TYPE cidr;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN net TYPE text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN m TYPE text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN t TYPE mood USING m;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

CREATE TYPE temper AS ENUM ('sad', 'ok', 'happy');
ALTER TABLE things ALTER COLUMN m TYPE temper USING m::text::temper;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN p TYPE int;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN i4 TYPE positive;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN l TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN l TYPE varchar;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN t TYPE label;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN v20 TYPE label;
-- => things ACCESS EXCLUSIVE

CREATE DOMAIN brief AS varchar(40);
ALTER TABLE things ALTER COLUMN v20 TYPE brief;
-- => things ACCESS EXCLUSIVE

CREATE DOMAIN tiny AS varchar(10);
ALTER TABLE things ALTER COLUMN v20 TYPE tiny;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN i8 TYPE positive;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

CREATE DOMAIN tag AS label;
ALTER TABLE things ALTER COLUMN l TYPE tag;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN va TYPE varchar(40)[];
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN va TYPE varchar(10)[];
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN va TYPE varchar[];
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN va TYPE text[];
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ia TYPE bigint[];
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN ia TYPE int[][];
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN na TYPE numeric(12, 2)[];
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN na TYPE numeric[];
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN x TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN j TYPE jsonb;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN j TYPE text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN u TYPE text;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

CREATE EXTENSION citext;
ALTER TABLE things ALTER COLUMN t TYPE citext;
-- => things ACCESS EXCLUSIVE

CREATE EXTENSION citext;
ALTER TABLE things ALTER COLUMN indexed TYPE citext;
-- => things ACCESS EXCLUSIVE, scanned

CREATE EXTENSION citext;
ALTER TABLE things ALTER COLUMN t TYPE citext;
ALTER TABLE things ALTER COLUMN t TYPE varchar;
-- => things ACCESS EXCLUSIVE

-- What hangs on the column

ALTER TABLE things ALTER COLUMN indexed TYPE varchar(40);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN indexed TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN indexed TYPE varchar(10);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN indexed TYPE text COLLATE "C";
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN expressed TYPE varchar(40);
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN expressed TYPE text;
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN expressed TYPE varchar(20);
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN filtered TYPE varchar(40);
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN filtered TYPE text;
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN included TYPE varchar(40);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN included TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN checked TYPE varchar(40);
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN checked TYPE text;
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN checked TYPE varchar(20);
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN i4i TYPE oid;
-- => things ACCESS EXCLUSIVE, scanned

ALTER TABLE things ALTER COLUMN cidri TYPE inet;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN made TYPE varchar(60);
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN made TYPE text;
-- => things ACCESS EXCLUSIVE

ALTER TABLE things ALTER COLUMN made TYPE varchar(40);
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE text, ALTER COLUMN i4 TYPE bigint;
-- => things ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ALTER COLUMN v20 TYPE varchar(40), ALTER COLUMN v20 SET DEFAULT 'x';
-- => things ACCESS EXCLUSIVE

-- Keys

ALTER TABLE plain ALTER COLUMN id TYPE bigint;
-- => plain ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE teams ALTER COLUMN slug TYPE varchar(80);
-- => teams ACCESS EXCLUSIVE

ALTER TABLE teams ALTER COLUMN slug TYPE text;
-- => teams ACCESS EXCLUSIVE

ALTER TABLE orders ALTER COLUMN price TYPE numeric(14, 2);
-- => orders ACCESS EXCLUSIVE

CREATE TABLE codes (code varchar(20) PRIMARY KEY);
CREATE TABLE uses (code varchar(20) REFERENCES codes);
INSERT INTO codes SELECT n FROM generate_series(1, 3000) n;
INSERT INTO uses SELECT code FROM codes;
ALTER TABLE uses ALTER COLUMN code TYPE varchar(40);
-- => codes ACCESS EXCLUSIVE; uses ACCESS EXCLUSIVE

CREATE TABLE codes (code varchar(20) PRIMARY KEY);
CREATE TABLE uses (code varchar(20) REFERENCES codes);
INSERT INTO codes SELECT n FROM generate_series(1, 3000) n;
INSERT INTO uses SELECT code FROM codes;
ALTER TABLE codes ALTER COLUMN code TYPE varchar(40);
-- => codes ACCESS EXCLUSIVE; uses ACCESS EXCLUSIVE

CREATE TABLE codes (code varchar(20) PRIMARY KEY);
CREATE TABLE uses (code varchar(20) REFERENCES codes);
INSERT INTO codes SELECT n FROM generate_series(1, 3000) n;
INSERT INTO uses SELECT code FROM codes;
ALTER TABLE codes ALTER COLUMN code TYPE text;
-- => codes ACCESS EXCLUSIVE; uses ACCESS EXCLUSIVE

CREATE TABLE codes (code varchar(20) PRIMARY KEY);
CREATE TABLE uses (code varchar(20) REFERENCES codes);
INSERT INTO codes SELECT n FROM generate_series(1, 3000) n;
INSERT INTO uses SELECT code FROM codes;
ALTER TABLE uses ALTER COLUMN code TYPE text;
-- => codes ACCESS EXCLUSIVE; uses ACCESS EXCLUSIVE

CREATE TABLE numbered (id int PRIMARY KEY);
CREATE TABLE pointing (id int REFERENCES numbered);
INSERT INTO numbered SELECT n FROM generate_series(1, 3000) n;
INSERT INTO pointing SELECT id FROM numbered;
ALTER TABLE numbered ALTER COLUMN id TYPE bigint;
-- => numbered ACCESS EXCLUSIVE, scanned, rewritten; pointing ACCESS EXCLUSIVE, scanned

-- may: maybe
CREATE TABLE numbered (id int PRIMARY KEY);
CREATE TABLE pointing (id int REFERENCES numbered);
INSERT INTO numbered SELECT n FROM generate_series(1, 3000) n;
INSERT INTO pointing SELECT id FROM numbered;
ALTER TABLE pointing ALTER COLUMN id TYPE bigint;
-- => numbered ACCESS EXCLUSIVE, scanned; pointing ACCESS EXCLUSIVE, scanned, rewritten

CREATE TABLE numbered (id int PRIMARY KEY);
CREATE TABLE pointing (id int);
INSERT INTO numbered SELECT n FROM generate_series(1, 3000) n;
INSERT INTO pointing SELECT id FROM numbered;
ALTER TABLE pointing ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES numbered NOT VALID;
ALTER TABLE pointing ALTER COLUMN id TYPE bigint;
-- => numbered ACCESS EXCLUSIVE; pointing ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE things ADD CONSTRAINT t_long CHECK (length(t) > 0) NOT VALID;
ALTER TABLE things ALTER COLUMN t TYPE varchar;
-- => things ACCESS EXCLUSIVE

-- Families

DROP VIEW all_events;
ALTER TABLE events ALTER COLUMN id TYPE int;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE, scanned, rewritten; events_2024 ACCESS EXCLUSIVE,
-- => scanned, rewritten; events_rest ACCESS EXCLUSIVE, scanned, rewritten

DROP VIEW all_events;
ALTER TABLE events ALTER COLUMN kind TYPE varchar;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE, scanned; events_2024 ACCESS EXCLUSIVE, scanned;
-- => events_rest ACCESS EXCLUSIVE, scanned

-- may: maybe
ALTER TABLE visits ALTER COLUMN team_id TYPE int;
-- => teams ACCESS EXCLUSIVE, scanned; visits ACCESS EXCLUSIVE; visits_eu ACCESS EXCLUSIVE, scanned, rewritten;
-- => visits_us ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE, scanned, rewritten; visits_us_1 ACCESS EXCLUSIVE,
-- => scanned, rewritten

ALTER TABLE teams ALTER COLUMN id TYPE int;
-- => teams ACCESS EXCLUSIVE, scanned, rewritten; users ACCESS EXCLUSIVE, scanned; visits ACCESS EXCLUSIVE;
-- => visits_eu ACCESS EXCLUSIVE, scanned; visits_us ACCESS EXCLUSIVE; visits_us_0 ACCESS EXCLUSIVE, scanned;
-- => visits_us_1 ACCESS EXCLUSIVE, scanned

ALTER TABLE animals ALTER COLUMN name TYPE varchar(100);
-- => animals ACCESS EXCLUSIVE, scanned, rewritten; dogs ACCESS EXCLUSIVE, scanned, rewritten

ALTER TABLE animals ALTER COLUMN id TYPE bigint;
-- => animals ACCESS EXCLUSIVE, scanned, rewritten; dogs ACCESS EXCLUSIVE, scanned, rewritten

-- may: hidden
ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint CASCADE;
-- => typed ACCESS EXCLUSIVE, scanned, rewritten
