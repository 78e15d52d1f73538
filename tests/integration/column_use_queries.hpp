// What integration.column_use asks PostgreSQL and diastole about.
#pragma once

namespace diastole::test {

inline constexpr const char* kColumnUseSchema = R"(
CREATE SCHEMA app;
CREATE TYPE app.address AS (street text, city text);
CREATE TABLE app.users (id serial PRIMARY KEY, name text, email text CONSTRAINT users_email_key UNIQUE, tags text[],
                        addr app.address, score int);
CREATE TABLE app.teams (id int PRIMARY KEY, title text, boss int);
CREATE TABLE app.orders (id int PRIMARY KEY, user_id int, total int, items jsonb, customer app.users,
                         others app.users[]);
CREATE TABLE app."Order" ("Id" int, "select" text);
CREATE TABLE public.users (id int, legacy text);
CREATE TABLE public.audit (id int, what text, at timestamptz);
CREATE UNIQUE INDEX audit_what ON public.audit (what) INCLUDE (at);
CREATE TABLE app.events (id int, kind text, at int) PARTITION BY RANGE (at);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM (1) TO (2);
CREATE TABLE app.base (a int, b text);
CREATE TABLE app.heir (c int) INHERITS (app.base);
CREATE VIEW app.active AS SELECT id, name FROM app.users WHERE score > 0;
CREATE VIEW app.top AS SELECT name FROM app.active;
CREATE FUNCTION app.pure(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION app.named(int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT name FROM app.users WHERE id = $1; END;
)";

// Those after ~ go on without a column that they use: the rows as a whole, columns by position, names that then mean
// another column.
inline constexpr const char* kColumnUseQueries[] = {
    // Names
    "SELECT id FROM users",
    "SELECT id FROM app.users",
    "SELECT legacy FROM public.users",
    "SELECT what FROM audit",
    "SELECT u.name FROM users u WHERE u.id = $1",
    "SELECT users.name, app.users.email FROM users",
    "SELECT \"Id\" FROM \"Order\"",
    "SELECT \"select\" FROM app.\"Order\" o WHERE o.\"Id\" > 1",
    "SELECT u.ctid, u.tableoid, xmin FROM users u",
    "SELECT 1",
    "SELECT 1 FROM users",
    "SELECT a.id, b.id FROM users a, public.users b",
    "SELECT postgres.app.users.id FROM users LIMIT 0",
    // Rows
    "~SELECT * FROM teams",
    "~SELECT t.* FROM teams t, audit",
    "~SELECT *, id FROM audit",
    "~SELECT count(*), u.* FROM users u GROUP BY u.id",
    "SELECT count(*) FROM teams",
    "SELECT count(id) FROM teams",
    "~SELECT t FROM teams t",
    "~SELECT row_to_json(t) FROM teams t",
    "~SELECT t IS NULL FROM teams t",
    "SELECT (t).title FROM teams t",
    "~SELECT (t).* FROM teams t",
    "SELECT title(t) FROM teams t",
    "~SELECT ROW(t.*, 1) FROM teams t",
    "~SELECT to_jsonb(u) - 'name' FROM users u",
    "~TABLE teams",
    "~SELECT array_agg(t ORDER BY t.id) FROM teams t",
    "~SELECT t.row_to_json FROM teams t",
    "~SELECT * FROM (SELECT * FROM teams) s",
    "~SELECT jsonb_agg(s.*) FROM (SELECT id, title FROM teams) s",
    // Composites and arrays
    "SELECT (addr).city FROM users",
    "SELECT (u.addr).street FROM users u",
    "SELECT (customer).email FROM orders",
    "SELECT (o.customer).email FROM orders o",
    "SELECT ((o.customer).addr).city FROM orders o",
    "SELECT (others[1]).name FROM orders",
    "SELECT tags[1] FROM users",
    "SELECT tags[1:score] FROM users",
    "~SELECT (o.customer).* FROM orders o",
    "~SELECT NULL::teams",
    "~SELECT (jsonb_populate_record(NULL::teams, items)).title FROM orders",
    "SELECT email(customer) FROM orders",
    "SELECT items['a'] FROM orders",
    "~SELECT o.customer = ROW(u.*)::users FROM orders o, users u",
    // Expressions
    "SELECT CASE WHEN score > 1 THEN name ELSE email END FROM users",
    "SELECT coalesce(name, email), score::text FROM users",
    "SELECT greatest(id, score), nullif(name, email) FROM users",
    "SELECT name || email COLLATE \"C\" FROM users",
    "SELECT NOT (score > 1 OR id < 2) AND name IS NOT NULL FROM users",
    "SELECT score BETWEEN id AND 5 FROM users",
    "SELECT name LIKE $1, email SIMILAR TO $2, id IN ($3, score) FROM users",
    "SELECT score IS DISTINCT FROM id FROM users",
    "SELECT extract(year FROM at), at AT TIME ZONE 'UTC' FROM audit",
    "SELECT substring(name FROM 1 FOR score) FROM users",
    "SELECT ROW(id, name) = ROW(1, 'x') FROM users",
    "SELECT ARRAY[id, score] FROM users",
    "SELECT (score > 1) IS TRUE FROM users",
    "SELECT overlay(name PLACING email FROM 1), trim(both 'x' from name), position('a' in email) FROM users",
    "SELECT xmlelement(name foo, xmlattributes(name AS bar), email) FROM users",
    "SELECT at + interval '1 day' FROM audit",
    "SELECT current_date, localtimestamp, current_user, now()",
    "SELECT string_agg(name, ',' ORDER BY email) FROM users",
    "SELECT count(*) FILTER (WHERE score > 1) FROM users",
    "SELECT count(DISTINCT name) FROM users",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM users",
    "SELECT row_number() OVER (PARTITION BY name ORDER BY score) FROM users",
    "SELECT sum(score) OVER w FROM users WINDOW w AS (PARTITION BY email ORDER BY id)",
    "SELECT sum(score) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM users",
    "SELECT name FROM users WHERE tags @> ARRAY['x'] AND 'a' = ANY (tags)",
    "SELECT make_interval(days => score) FROM users",
    // Joins
    "SELECT title FROM users u JOIN teams t ON u.id = t.boss",
    "SELECT title, name FROM users JOIN teams USING (id)",
    "SELECT id FROM users LEFT JOIN teams USING (id)",
    "SELECT j.id FROM users JOIN teams USING (id) AS j",
    "~SELECT title FROM users NATURAL JOIN teams",
    "~SELECT id FROM teams NATURAL JOIN audit WHERE what = ''",
    "SELECT title, what FROM teams CROSS JOIN audit",
    "~SELECT title FROM teams t, orders o WHERE boss = user_id AND o.id = t.id",
    "SELECT j.title FROM (users u JOIN teams t ON u.id = t.boss) AS j",
    "~SELECT j.b FROM (teams JOIN audit USING (id)) AS j(a, b)",
    "~SELECT b FROM teams AS t(a, b)",
    "SELECT id FROM users FULL JOIN teams USING (id) JOIN orders USING (id)",
    "SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.total > 1 LEFT JOIN teams t ON t.boss = "
    "u.id",
    "SELECT 1 FROM teams a JOIN teams b ON a.boss = b.id",
    "~SELECT * FROM teams JOIN audit USING (id)",
    "SELECT t.title FROM audit a, users u JOIN teams t ON boss = u.id WHERE a.what = u.name",
    // Subqueries
    "SELECT s.title FROM (SELECT title, boss FROM teams) s",
    "SELECT title FROM (SELECT title FROM teams) s, users",
    "SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)",
    "SELECT name FROM users u WHERE u.id IN (SELECT o.user_id FROM orders o WHERE o.total > 1)",
    "SELECT (SELECT max(total) FROM orders WHERE user_id = score) FROM users",
    "SELECT (SELECT title FROM teams LIMIT 1)",
    "SELECT u.id = ANY (SELECT user_id FROM orders), u.score > ALL (SELECT total FROM orders) FROM users u",
    "SELECT ARRAY(SELECT title FROM teams ORDER BY boss)",
    "SELECT (u.id, u.score) IN (SELECT user_id, total FROM orders) FROM users u",
    "SELECT s.total FROM users u, LATERAL (SELECT total FROM orders o WHERE o.user_id = u.score) s",
    "SELECT s.n FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.user_id = u.id) s ON true",
    "~SELECT title FROM teams t WHERE EXISTS (SELECT 1 FROM orders WHERE id = 5)",
    "SELECT y FROM (VALUES (1, 2)) v(x, y)",
    "SELECT column1 FROM (VALUES (1)) v, users",
    "VALUES ((SELECT max(score) FROM users), 1)",
    "SELECT s.boss FROM (SELECT title AS boss, id FROM teams) s",
    "SELECT (SELECT u.name) FROM users u",
    // WITH
    "WITH c AS (SELECT id, title FROM teams) SELECT title FROM c",
    "WITH users AS (SELECT id FROM teams) SELECT id FROM users",
    "WITH c(a, b) AS (SELECT id, boss FROM teams) SELECT b FROM c",
    "WITH users AS (SELECT name FROM users) SELECT name FROM users",
    "WITH c AS (SELECT title FROM teams) SELECT name FROM users",
    "WITH a AS (SELECT boss FROM teams), b AS (SELECT boss FROM a) SELECT * FROM b",
    "WITH RECURSIVE r AS (SELECT id, boss FROM teams WHERE title = $1 UNION ALL SELECT t.id, t.boss FROM teams t JOIN "
    "r ON "
    "t.boss = r.id) SELECT id FROM r",
    "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r, teams WHERE boss = n) SELECT n FROM r, users",
    "WITH RECURSIVE r AS (SELECT id FROM teams UNION ALL SELECT r.id FROM r) SEARCH DEPTH FIRST BY id SET o CYCLE id "
    "SET c "
    "USING p SELECT o, c, p FROM r",
    "WITH d AS (DELETE FROM teams WHERE id = 1 RETURNING title) SELECT title FROM d",
    "WITH u AS (UPDATE users SET score = 1 WHERE id = 2 RETURNING name) INSERT INTO teams (title) SELECT name FROM u",
    "SELECT id FROM (WITH c AS (SELECT id FROM teams) SELECT id FROM c) s",
    "SELECT (WITH c AS (SELECT u.score AS x) SELECT x FROM c) FROM users u",
    // Sets
    "SELECT id FROM teams UNION SELECT user_id FROM orders ORDER BY id",
    "SELECT title FROM teams EXCEPT SELECT name FROM users",
    "(SELECT id FROM teams ORDER BY boss LIMIT 1) UNION ALL SELECT 1",
    "SELECT s.x FROM (SELECT id AS x FROM teams INTERSECT SELECT 1) s",
    "~SELECT * FROM teams UNION ALL SELECT id, name, score FROM users",
    "SELECT id FROM users UNION SELECT 2 UNION SELECT score FROM users",
    // Clauses
    "SELECT title AS name FROM teams ORDER BY name",
    "~SELECT title AS boss FROM teams ORDER BY boss || ''",
    "SELECT title AS x FROM teams GROUP BY x",
    "SELECT max(id) AS boss FROM teams GROUP BY title ORDER BY boss",
    "SELECT boss FROM teams GROUP BY boss HAVING max(title) > ''",
    "SELECT DISTINCT ON (boss) title FROM teams ORDER BY boss, id",
    "SELECT DISTINCT title FROM teams",
    "SELECT name, email FROM users GROUP BY GROUPING SETS ((name), (email, name), ())",
    "SELECT grouping(name), name FROM users GROUP BY ROLLUP (name, score)",
    "SELECT id FROM teams LIMIT $1 OFFSET $2",
    "SELECT t.id FROM teams t FOR UPDATE OF t SKIP LOCKED",
    "SELECT title FROM teams ORDER BY 1, boss NULLS FIRST",
    "SELECT upper(title) FROM teams ORDER BY upper",
    "~SELECT title AS id, count(*) FROM teams GROUP BY id, title",
    "SELECT count(*) FROM teams HAVING max(boss) > 1",
    "SELECT id FROM teams FETCH FIRST 2 ROWS ONLY",
    // Functions in FROM
    "SELECT g, name FROM users, generate_series(1, 2) AS g",
    "SELECT name, x FROM users, unnest(tags) AS x",
    "SELECT u.name, x FROM users u, unnest($1::int[]) AS x",
    "SELECT c.email FROM orders, unnest(others) AS c",
    "SELECT key, value FROM orders, jsonb_each(items)",
    "SELECT name, key FROM users, json_each($1::json) WHERE value IS NULL",
    "SELECT e->>'a' FROM orders, jsonb_array_elements(items) AS e",
    "SELECT x.a FROM orders, jsonb_to_recordset(items) AS x(a int, b text)",
    "SELECT a, name FROM users, ROWS FROM (generate_series(1, score), unnest(tags)) WITH ORDINALITY AS r(a, b, c)",
    "SELECT a FROM users, XMLTABLE('/r' PASSING (name::xml) COLUMNS a int PATH '@a') AS x",
    "~SELECT title FROM jsonb_populate_record(NULL::teams, $1)",
    "SELECT title FROM teams TABLESAMPLE bernoulli (10) REPEATABLE (1)",
    "SELECT name, d FROM users, current_date AS d",
    "SELECT o FROM users u, unnest(u.tags) WITH ORDINALITY AS x(t, o)",
    "SELECT e.value FROM orders o, jsonb_array_elements_text(o.items) AS e",
    "SELECT pure(score) FROM users",
    "SELECT app.pure(1)",
    "SELECT app.named(1)",
    "SELECT p FROM users, pure(id) AS p",
    "SELECT nextval('users_id_seq')",
    "SELECT last_value FROM users_id_seq",
    "SELECT lower(name), pg_catalog.upper(email) FROM users",
    // INSERT
    "INSERT INTO teams (id, title) VALUES ($1, $2)",
    "~INSERT INTO teams VALUES (1, 'x')",
    "~INSERT INTO teams SELECT id, what FROM audit",
    "~INSERT INTO audit SELECT id, title FROM teams",
    "INSERT INTO teams DEFAULT VALUES",
    "INSERT INTO teams AS t (id) VALUES (1) RETURNING t.title",
    "~INSERT INTO teams (id) VALUES (1) RETURNING *",
    "INSERT INTO users (addr.city, tags[1]) VALUES ('a', 'b')",
    "INSERT INTO orders (customer.email) VALUES ('x')",
    "INSERT INTO teams (id) SELECT u.score FROM users u WHERE u.name > ''",
    "INSERT INTO users (id) VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT INTO users (name) VALUES ('x') ON CONFLICT (email) DO NOTHING",
    "INSERT INTO audit (id) VALUES (1) ON CONFLICT (what) DO NOTHING",
    "INSERT INTO users (name) VALUES ('x') ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING",
    "INSERT INTO users (name) VALUES ('x') ON CONFLICT (email) DO UPDATE SET score = excluded.score + users.id WHERE "
    "users.name <> ''",
    "INSERT INTO users AS u (name) VALUES ('x') ON CONFLICT (id) DO UPDATE SET (score, name) = (u.score, "
    "excluded.email) RETURNING tags",
    // UPDATE, DELETE, MERGE
    "UPDATE teams SET title = $1 WHERE id = $2",
    "UPDATE teams t SET title = boss::text",
    "UPDATE teams SET title = DEFAULT",
    "UPDATE teams SET (title, boss) = (SELECT u.name, u.score FROM users u WHERE u.id = teams.id)",
    "UPDATE teams SET (title, boss) = ('x', id)",
    "UPDATE users SET tags[1] = 'x'",
    "UPDATE users SET addr.city = 'x'",
    "UPDATE orders SET customer.name = 'x'",
    "UPDATE teams SET title = name FROM users u WHERE u.score = boss",
    "UPDATE teams SET title = '' FROM orders o JOIN users u ON o.user_id = u.id RETURNING boss, name",
    "DELETE FROM teams",
    "DELETE FROM teams t USING users u WHERE t.boss = u.score RETURNING t.title",
    "DELETE FROM ONLY base WHERE a = 1",
    "MERGE INTO teams t USING users u ON t.boss = u.score WHEN MATCHED AND u.email = '' THEN UPDATE SET title = name "
    "WHEN NOT MATCHED THEN "
    "INSERT (id, title) VALUES (u.id, u.name)",
    "~MERGE INTO teams t USING users u ON t.id = u.id WHEN NOT MATCHED THEN INSERT VALUES (u.id, u.name)",
    "MERGE INTO teams USING (SELECT id AS k FROM audit) a ON k = boss WHEN MATCHED AND title = '' THEN DELETE",
    // Views, partitions, heirs
    "SELECT name FROM active",
    "SELECT top.name FROM top",
    "SELECT kind FROM events",
    "SELECT kind FROM events_1",
    "~SELECT * FROM events_1",
    "UPDATE events SET kind = '' WHERE id = 1",
    "SELECT a FROM base",
    "SELECT a FROM heir",
    "SELECT b, c FROM heir",
    "~SELECT * FROM heir",
};

}  // namespace diastole::test
