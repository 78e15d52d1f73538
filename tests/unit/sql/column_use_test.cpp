// Which columns a query that only reads uses.
#include "column_use_test.hpp"

namespace diastole::sql::column_use_test {
namespace {

TEST(ColumnUseTest, NamesAreLookedUpInTheSearchPath) {
  expect_columns({{"SELECT id FROM users", "users.id"},
                  {"SELECT id FROM public.users", "public.users.id"},
                  {"SELECT u.name FROM users AS u WHERE u.id = $1", "users.id users.name"},
                  {"SELECT users.name FROM users", "users.name"},
                  {"SELECT app.users.name FROM users", "users.name"},
                  {"SELECT app.users.name FROM users u", ".name?"},
                  {"SELECT what FROM audit", "public.audit.what"},
                  {"SELECT legacy FROM users", ".legacy?"},
                  {"SELECT secret FROM hidden", "hidden.secret"},
                  {"SELECT \"Id\", \"select\" FROM \"Order\"", "Order.Id Order.select"},
                  {"SELECT ID FROM \"Order\"", "Order.id"},
                  {"TABLE teams", "teams.boss teams.id teams.title"}});
}

TEST(ColumnUseTest, StarAndWholeRows) {
  expect_columns({{"SELECT * FROM teams", "teams.boss teams.id teams.title"},
                  {"SELECT t.* FROM teams t, users", "teams.boss teams.id teams.title"},
                  {"SELECT count(*) FROM teams", ""},
                  {"SELECT count(t) FROM teams t", "teams.boss teams.id teams.title"},
                  {"SELECT count(t.id) FROM teams t", "teams.id"},
                  {"SELECT t FROM teams t", "teams.boss teams.id teams.title"},
                  {"SELECT row_to_json(t) FROM teams t", "teams.boss teams.id teams.title"},
                  {"SELECT 1 FROM teams t WHERE t IS NULL", "teams.boss teams.id teams.title"},
                  {"SELECT (t).title FROM teams t", "teams.title"},
                  {"SELECT (t).* FROM teams t", "teams.boss teams.id teams.title"},
                  {"SELECT title(t) FROM teams t", "teams.title"},
                  {"SELECT ROW(t.*, 1) FROM teams t", "teams.boss teams.id teams.title"},
                  {"SELECT t.ctid, t.xmin, tableoid FROM teams t", ""},
                  {"SELECT t.lower FROM teams t", "teams.boss? teams.id? teams.lower? teams.title?"},
                  {"SELECT 1", ""}});
}

TEST(ColumnUseTest, FieldsOfComposites) {
  expect_columns(
      {{"SELECT (addr).city FROM users", "users.addr"},
       {"SELECT (u).addr.city FROM users u", ".city? users.addr"},
       {"SELECT (customer).email FROM orders", "orders.customer users.email"},
       {"SELECT (o.customer).email FROM orders o", "orders.customer users.email"},
       {"SELECT email(o.customer) FROM orders o", "orders.customer users.email"},
       {"SELECT (o.customer).* FROM orders o", "orders.customer users.addr users.email users.id users.name users.tags"},
       {"SELECT (others[1]).name FROM orders", "orders.others users.name"},
       {"SELECT ((o.customer).addr).city FROM orders o", ".city? orders.customer users.addr"},
       {"SELECT tags[1], tags[1:2] FROM users", "users.tags"},
       {"SELECT (json_each($1)).key", ""},
       {"SELECT ((SELECT t FROM teams t)).title", ".title? teams.boss teams.id teams.title"},
       {"SELECT NULL::teams", "teams.boss? teams.id? teams.title?"},
       {"SELECT NULL::text", ""},
       {"SELECT ($1).title", ".title?"},
       {"SELECT ($1).*", "??"},
       {"SELECT (x.r).* FROM json_to_record($1) AS x(r teams)", "teams.boss? teams.id? teams.title?"},
       {"SELECT '{}'::_teams", "teams.boss? teams.id? teams.title?"},
       {"SELECT '{}'::app.teams[]", "teams.boss? teams.id? teams.title?"}});
}

TEST(ColumnUseTest, Joins) {
  expect_columns({{"SELECT title FROM users u JOIN teams t ON u.name = t.boss", "teams.boss teams.title users.name"},
                  {"SELECT 1 FROM users JOIN teams USING (id)", "teams.id users.id"},
                  {"SELECT id FROM users JOIN teams USING (id)", "teams.id users.id"},
                  {"SELECT id FROM users, teams", "teams.id? users.id?"},
                  {"SELECT s.boss FROM (SELECT * FROM teams JOIN public.audit USING (id)) AS s(a, b)",
                   "teams.boss teams.id teams.title public.audit.id public.audit.what"},
                  {"SELECT s.title FROM (SELECT * FROM teams JOIN public.audit USING (id)) AS s(a, b)",
                   ".title? teams.boss teams.id teams.title public.audit.id public.audit.what"},
                  {"SELECT title FROM users NATURAL JOIN teams", "teams.id teams.title users.id"},
                  {"SELECT title FROM users CROSS JOIN teams", "teams.title"},
                  {"SELECT id FROM users JOIN teams USING (id) JOIN orders USING (id)", "orders.id teams.id users.id"},
                  {"SELECT x.id FROM users JOIN teams USING (id) AS x", "teams.id users.id"},
                  {"SELECT j.title FROM (users JOIN teams USING (id)) AS j", "teams.id teams.title users.id"},
                  {"SELECT j.b FROM (teams t JOIN public.audit a ON true) AS j(a, b)", "teams.id? teams.title"},
                  {"SELECT t.title FROM (teams t JOIN public.audit a ON true) AS j", ".title?"},
                  {"SELECT b FROM teams AS t(a, b)", "teams.id? teams.title"},
                  {"SELECT boss FROM teams AS t(a, b)", "teams.boss teams.id? teams.title?"},
                  {"SELECT title FROM teams AS t(a, b)", ".title? teams.id? teams.title?"},
                  {"SELECT 1 FROM orders, users u JOIN teams t ON title = name", "teams.title users.name"},
                  {"SELECT 1 FROM teams, teams x JOIN orders o ON title = ''", "teams.title"},
                  {"SELECT 1 FROM users, teams x JOIN orders o ON name = ''", ".name?"},
                  {"SELECT * FROM (SELECT id FROM teams) s NATURAL JOIN public.audit",
                   "teams.id public.audit.id public.audit.what"}});
}

TEST(ColumnUseTest, Subqueries) {
  expect_columns(
      {{"SELECT s.title FROM (SELECT title, boss FROM teams) s", "teams.boss teams.title"},
       {"SELECT title FROM (SELECT title FROM teams) s, users", "teams.title"},
       {"SELECT * FROM (SELECT title FROM teams) s", "teams.title"},
       {"SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM orders WHERE user_id = u.id)",
        "orders.user_id users.id users.name"},
       {"SELECT name FROM users WHERE id IN (SELECT user_id FROM orders WHERE total > 1)",
        "orders.total orders.user_id users.id users.name"},
       {"SELECT (SELECT title FROM teams WHERE boss = name) FROM users", "teams.boss teams.title users.name"},
       {"SELECT (SELECT id FROM teams) FROM users", "teams.id"},
       {"SELECT 1 FROM users u, LATERAL (SELECT total FROM orders WHERE user_id = email) s",
        "orders.total orders.user_id users.email"},
       {"SELECT 1 FROM users u, (SELECT total FROM orders WHERE user_id = email) s",
        ".email? orders.total orders.user_id"},
       {"SELECT ARRAY(SELECT total FROM orders), id = ANY (SELECT user_id FROM orders) FROM teams",
        "orders.total orders.user_id teams.id"},
       {"SELECT x FROM (VALUES (1, 2)) AS v(x, y)", ""},
       {"SELECT column1 FROM (VALUES (1)) AS v, users", ""}});
}

TEST(ColumnUseTest, CommonTableExpressions) {
  expect_columns(
      {{"WITH users AS (SELECT id, title FROM teams) SELECT title FROM users", "teams.id teams.title"},
       {"WITH users AS (SELECT id FROM teams) SELECT legacy FROM public.users", "teams.id public.users.legacy"},
       {"WITH c(a, b) AS (SELECT id, boss FROM teams) SELECT a FROM c", "teams.boss teams.id"},
       {"WITH users AS (SELECT name FROM users) SELECT name FROM users", "users.name"},
       {"WITH RECURSIVE r AS (SELECT id, boss FROM teams WHERE title = $1 UNION ALL "
        "SELECT t.id, t.boss FROM teams t JOIN r ON t.boss = r.id) SELECT id FROM r, users",
        "teams.boss teams.id teams.title users.id?"},
       {"WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r, teams WHERE title = n) SELECT n FROM r",
        "teams.title"},
       {"WITH RECURSIVE r AS (SELECT id FROM teams UNION ALL SELECT r.id FROM r) SEARCH DEPTH FIRST BY id SET o "
        "CYCLE id SET c USING p SELECT o, c, p FROM r",
        "teams.id"},
       {"WITH d AS (DELETE FROM teams WHERE id = 1 RETURNING title) SELECT title FROM d", "teams.id teams.title"},
       {"WITH u AS (UPDATE teams SET boss = 1 RETURNING *) SELECT 1", "teams.boss= teams.id teams.title"},
       {"WITH c AS (SELECT 1 AS a) SELECT * FROM (WITH c AS (SELECT title AS b FROM teams) SELECT b FROM c) s",
        "teams.title"},
       {"SELECT * FROM (WITH c AS (SELECT id FROM teams) SELECT id FROM c) s, c", "c.* teams.id"}});
}

TEST(ColumnUseTest, SetOperations) {
  expect_columns(
      {{"SELECT id FROM teams UNION SELECT user_id FROM orders ORDER BY id LIMIT $1", "orders.user_id teams.id"},
       {"SELECT id AS x FROM teams EXCEPT SELECT total FROM orders INTERSECT SELECT name FROM users",
        "orders.total teams.id users.name"},
       {"(SELECT id FROM teams ORDER BY boss LIMIT 1) UNION ALL SELECT 1", "teams.boss teams.id"},
       {"(WITH c AS (SELECT title AS a FROM teams) SELECT a FROM c UNION SELECT 2) UNION SELECT 1", "teams.title"},
       {"(SELECT id FROM teams UNION SELECT 1 LIMIT (SELECT total FROM orders)) UNION SELECT 2",
        "orders.total teams.id"},
       {"SELECT s.id FROM (SELECT id FROM teams UNION SELECT 1) s, users u", "teams.id"}});
}

TEST(ColumnUseTest, ResultNamesAndColumns) {
  expect_columns(
      {{"SELECT title AS boss FROM teams ORDER BY boss", "teams.title"},
       {"SELECT title AS boss FROM teams ORDER BY boss || ''", "teams.boss teams.title"},
       {"SELECT title AS boss FROM teams GROUP BY boss", "teams.boss teams.title"},
       {"SELECT title AS x FROM teams GROUP BY x", "teams.title"},
       {"SELECT title AS x FROM teams GROUP BY GROUPING SETS ((x, id), ())", "teams.id teams.title"},
       {"SELECT title AS x FROM teams ORDER BY boss", "teams.boss teams.title"},
       {"SELECT DISTINCT ON (boss) title FROM teams", "teams.boss teams.title"},
       {"SELECT DISTINCT title FROM teams", "teams.title"},
       {"SELECT 1 FROM teams HAVING max(boss) > '' ", "teams.boss"},
       {"SELECT sum(1) OVER (PARTITION BY boss ORDER BY title) AS title FROM teams", "teams.boss teams.title"},
       {"SELECT sum(1) OVER w FROM teams WINDOW w AS (ORDER BY boss)", "teams.boss"},
       {"SELECT count(*) FILTER (WHERE boss = '') FROM teams", "teams.boss"},
       {"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders", "orders.total"},
       {"SELECT array_agg(id ORDER BY boss) FROM teams", "teams.boss teams.id"},
       {"SELECT id FROM teams t FOR UPDATE OF t", "teams.id"},
       {"SELECT 1 LIMIT (SELECT total FROM orders) OFFSET (SELECT boss FROM teams)", "orders.total teams.boss"},
       {"SELECT s.case FROM (SELECT CASE WHEN true THEN 1 ELSE 2 END FROM users) s", ""},
       {"SELECT s.title, s.lower, s.total FROM (SELECT title::text, lower(boss), (SELECT total FROM orders) "
        "FROM teams) s",
        "orders.total teams.boss teams.title"},
       {"SELECT s.int4 FROM (SELECT (SELECT $1 + 1)::int) s", ".int4?"},
       {"SELECT s.int4 FROM (SELECT ($1 + 1)::int) s", ""},
       {"SELECT name, \"case\", int4 FROM (SELECT CASE WHEN true THEN 1 END, 1::int, CASE WHEN true THEN 1 "
        "ELSE name END FROM users) s",
        "users.name"}});
}

TEST(ColumnUseTest, FunctionsInFrom) {
  expect_columns(
      {{"SELECT id FROM users, generate_series(1, 2) AS g", "users.id"},
       {"SELECT g FROM users, generate_series(1, 2) AS g", ""},
       {"SELECT x FROM users, unnest(tags) AS x", "users.tags"},
       {"SELECT name, x FROM users, unnest($1::int[]) AS x", "users.name"},
       {"SELECT c.email FROM orders, unnest(others) AS c", "orders.others users.email"},
       {"SELECT key, name FROM users, json_each($1) WHERE value IS NULL", "users.name"},
       {"SELECT e.value FROM json_array_elements($1) AS e", ""},
       {"SELECT a, c FROM ROWS FROM (generate_series(1, 2), json_each($1)) WITH ORDINALITY AS x(a, b, c)", ""},
       {"SELECT id, a FROM json_to_record($1) AS x(a int), users", "users.id"},
       {"SELECT title FROM json_populate_record(NULL::teams, $1)", "teams.boss? teams.id? teams.title?"},
       {"SELECT a FROM users, XMLTABLE('/r' PASSING name COLUMNS a int PATH '@a' DEFAULT email) AS x",
        "users.email users.name"},
       {"SELECT id FROM teams TABLESAMPLE bernoulli (10)", "teams.id"},
       {"SELECT 1 FROM teams TABLESAMPLE bernoulli ((SELECT total FROM orders)) REPEATABLE ((SELECT email FROM users))",
        "orders.total users.email"},
       {"SELECT a FROM users, XMLTABLE(XMLNAMESPACES(email AS n), name PASSING '' COLUMNS a int) AS x",
        "users.email users.name"},
       {"SELECT x.email FROM mail(1) AS x", ".email? users.email?"},
       {"SELECT a FROM teams t, LATERAL unnest(ARRAY[t.boss, 'x']) AS u(a)", "teams.boss"}});
}

TEST(ColumnUseTest, UnknownTablesTakeWhatIsNotKnown) {
  expect_columns(
      {{"SELECT x FROM missing", "missing.x"},
       {"SELECT app.missing.x FROM missing", "missing.x"},
       {"SELECT other.missing.x FROM app.missing", ".x?"},
       {"SELECT m.x FROM missing m, users u", "missing.x"},
       {"SELECT x FROM missing, users", "missing.x"},
       {"SELECT name FROM missing, users", "missing.name? users.name?"},
       {"SELECT users.name FROM missing, users", "users.name"},
       {"SELECT x FROM missing, gone", "gone.x? missing.x?"},
       {"SELECT j.x FROM (missing CROSS JOIN gone) AS j", "gone.x? missing.x?"},
       {"SELECT j.x FROM (missing CROSS JOIN users) AS j", "missing.x"},
       {"SELECT 1 FROM missing NATURAL JOIN teams", "teams.boss? teams.id? teams.title?"},
       {"SELECT * FROM missing", "missing.*"},
       {"SELECT name FROM users WHERE id IN (SELECT name FROM missing)", "missing.name? users.id users.name"},
       {"SELECT name FROM users NATURAL JOIN missing",
        "missing.name? users.addr? users.email? users.id? users.name? users.tags?"}});
}

}  // namespace
}  // namespace diastole::sql::column_use_test
