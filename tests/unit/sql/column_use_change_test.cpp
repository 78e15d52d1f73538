// Which columns a statement that writes uses.
#include "column_use_test.hpp"

namespace diastole::sql::column_use_test {
namespace {

TEST(ColumnUseTest, Insert) {
  expect_columns({{"INSERT INTO teams (id, title) VALUES ($1, $2)", "teams.id! teams.title!"},
                  {"INSERT INTO teams VALUES ($1, $2)", "teams.id! teams.title!"},
                  {"INSERT INTO teams VALUES ($1, $2), (1, DEFAULT)", "teams.id! teams.title!"},
                  {"INSERT INTO teams SELECT id, what FROM public.audit",
                   "teams.id! teams.title! public.audit.id "
                   "public.audit.what"},
                  {"INSERT INTO teams SELECT * FROM missing", "missing.* teams.boss! teams.id! teams.title!"},
                  {"INSERT INTO teams DEFAULT VALUES", ""},
                  {"INSERT INTO teams AS t (id) VALUES (1) RETURNING t.title", "teams.id! teams.title"},
                  {"INSERT INTO teams (id) VALUES (1) RETURNING *", "teams.boss teams.id= teams.title"},
                  {"INSERT INTO teams (nope) VALUES (1)", ".nope?"},
                  {"INSERT INTO users (addr.city, tags[1]) VALUES (1, 2)", "users.addr= users.tags="},
                  {"INSERT INTO orders (customer.email) VALUES (1)", "orders.customer= users.email"},
                  {"WITH teams AS (SELECT 1) INSERT INTO teams (id) SELECT * FROM teams", "teams.id!"},
                  {"INSERT INTO missing VALUES (1)", "missing.*!?"},
                  {"INSERT INTO missing (x) VALUES (1)", "missing.x!"}});
}

TEST(ColumnUseTest, OnConflict) {
  expect_columns(
      {{"INSERT INTO teams (id) VALUES (1) ON CONFLICT DO NOTHING", "teams.id!"},
       {"INSERT INTO teams (id) VALUES (1) ON CONFLICT (title) DO NOTHING", "teams.id! teams.title"},
       {"INSERT INTO teams (id) VALUES (1) ON CONFLICT (lower(title)) WHERE boss = '' DO NOTHING",
        "teams.boss teams.id! teams.title"},
       {"INSERT INTO users (id) VALUES (1) ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING",
        "users.addr? users.email users.id!"},
       {"INSERT INTO users (id) VALUES (1) ON CONFLICT (name) DO NOTHING", "users.id! users.name users.tags?"},
       {"INSERT INTO users (id) VALUES (1) ON CONFLICT (email) DO NOTHING", "users.email users.id!"},
       {"INSERT INTO teams (id) VALUES (1) ON CONFLICT ON CONSTRAINT nope DO NOTHING",
        "teams.boss? teams.id= teams.title?"},
       {"INSERT INTO teams (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = excluded.boss WHERE teams.boss <> ''",
        "teams.boss teams.id= teams.title!"},
       {"INSERT INTO teams AS t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET (title, boss) = ROW(excluded.id, "
        "t.title)",
        "teams.boss! teams.id= teams.title="},
       {"INSERT INTO teams (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = boss",
        "teams.boss teams.id= teams.title!"},
       {"INSERT INTO teams (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = '' RETURNING excluded.boss",
        ".boss? teams.id= teams.title!"}});
}

TEST(ColumnUseTest, UpdateAndDelete) {
  expect_columns({{"UPDATE teams SET title = $1 WHERE id = $2", "teams.id teams.title!"},
                  {"UPDATE teams t SET title = boss", "teams.boss teams.title!"},
                  {"UPDATE teams SET title = DEFAULT", "teams.title!"},
                  {"UPDATE teams SET (title, boss) = (SELECT name, email FROM users u WHERE u.id = teams.id)",
                   "teams.boss! teams.id teams.title! users.email users.id users.name"},
                  {"UPDATE users SET tags[1] = 'x'", "users.tags="},
                  {"UPDATE users SET tags = '{}'", "users.tags!"},
                  {"UPDATE orders SET customer.name = 'x'", "orders.customer= users.name"},
                  {"UPDATE teams SET title = name FROM users u WHERE u.email = boss",
                   "teams.boss teams.title! users.email users.name"},
                  {"UPDATE teams SET title = '' FROM orders o JOIN users ON o.total = email RETURNING boss, name",
                   "orders.total teams.boss teams.title! users.email users.name"},
                  {"UPDATE teams SET title = '' WHERE CURRENT OF c", "teams.title!"},
                  {"DELETE FROM teams", ""},
                  {"DELETE FROM teams t USING users u WHERE t.boss = u.name RETURNING t.title",
                   "teams.boss teams.title users.name"},
                  {"DELETE FROM ONLY teams WHERE id IN (SELECT id FROM users)", "teams.id users.id"}});
}

TEST(ColumnUseTest, Merge) {
  expect_columns(
      {{"MERGE INTO teams t USING users u ON t.id = u.id WHEN MATCHED AND u.email = '' THEN UPDATE SET title = name "
        "WHEN NOT MATCHED THEN INSERT (id, boss) VALUES (u.id, tags)",
        "teams.boss! teams.id= teams.title! users.email users.id users.name users.tags"},
       {"MERGE INTO teams USING users u ON true WHEN NOT MATCHED THEN INSERT VALUES (id, name)",
        "teams.id! teams.title! users.id users.name"},
       {"MERGE INTO teams USING users u ON true WHEN NOT MATCHED THEN INSERT DEFAULT VALUES", ""},
       {"MERGE INTO teams USING (SELECT id AS k FROM users) u ON k = boss WHEN MATCHED AND title = '' THEN DELETE",
        "teams.boss teams.title users.id"},
       {"MERGE INTO teams USING users u ON true WHEN MATCHED THEN DO NOTHING", ""}});
}

TEST(ColumnUseTest, OtherStatements) {
  expect_columns({{"COPY teams (id, title) TO STDOUT", "teams.id teams.title"},
                  {"COPY teams (id, title) FROM STDIN", "teams.id! teams.title!"},
                  {"COPY teams FROM STDIN WHERE boss = ''", "teams.boss= teams.id! teams.title!"},
                  {"COPY (SELECT boss FROM teams) TO STDOUT", "teams.boss"},
                  {"TRUNCATE teams, users", ""},
                  {"LOCK TABLE teams IN SHARE MODE", ""},
                  {"ANALYZE teams (boss)", "teams.boss"},
                  {"VACUUM teams", ""},
                  {"DECLARE c CURSOR FOR SELECT boss FROM teams", "teams.boss"},
                  {"EXPLAIN ANALYZE SELECT boss FROM teams", "teams.boss"},
                  {"PREPARE p AS UPDATE teams SET boss = 1", "teams.boss!"},
                  {"CREATE TABLE copy AS SELECT boss FROM teams", "teams.boss"},
                  {"SELECT boss INTO copy FROM teams", "teams.boss"},
                  {"CREATE VIEW v AS SELECT boss FROM teams", "teams.boss"},
                  {"BEGIN", ""},
                  {"SET statement_timeout = 1", ""},
                  {"SELECT boss FROM teams; DELETE FROM orders WHERE total = 1", "orders.total teams.boss"},
                  {"SET search_path TO x; SELECT boss FROM teams", "teams.boss ??"},
                  {"SELECT boss FROM teams; SET search_path TO x", "teams.boss"},
                  {"PREPARE p(teams) AS SELECT 1", "teams.boss? teams.id? teams.title?"},
                  {"EXECUTE p(1)", "??"},
                  {"DO 'BEGIN END'", "??"},
                  {"CREATE INDEX ON teams (boss)", "??"},
                  {"ALTER TABLE teams ADD x int", "??"},
                  {"CALL mail(1)", "users.email?"},
                  {"CALL nope(1)", "??"}});
}

TEST(ColumnUseTest, NormalizedTexts) {
  expect_columns(
      {{"SELECT title FROM teams WHERE id IN ($1 /*, ... */) AND boss > now() - interval $2 LIMIT $3 OFFSET $4",
        "teams.boss teams.id teams.title"},
       {"SELECT $1::teams, title FROM teams ORDER BY $2", "teams.boss? teams.id? teams.title"},
       {"SELECT $1::int, title FROM teams FETCH FIRST $2 ROWS ONLY", "teams.title"},
       {"SELECT extract($1 FROM total), substring(user_id, $2), total AT TIME ZONE $3 FROM orders",
        "orders.total orders.user_id"}});
  EXPECT_EQ(columns("SELECT title FROM teams WHERE id = $1 AND bo").find(".bo?"), 0U);
  EXPECT_NE(columns("SELECT title FROM teams WHERE (").find("line 1"), std::string::npos);
}

TEST(ColumnUseTest, Views) {
  expect_columns({{"SELECT name FROM active", "active.name users.id users.name"},
                  {"SELECT name FROM top", "active.name top.name users.id users.name"},
                  {"SELECT id FROM blind", "blind.id teams.boss? teams.id? teams.title?"},
                  {"UPDATE active SET name = ''", "active.name! users.id= users.name="},
                  {"SELECT id FROM opaque", "opaque.id ??"},
                  {"SELECT 1 FROM active", "users.id users.name"}});
}

TEST(ColumnUseTest, Functions) {
  expect_columns({{"SELECT mail(1)", "users.email?"},
                  {"SELECT app.mail(id) FROM teams", "teams.id users.email?"},
                  {"SELECT whole(1)", "teams.boss? teams.id? teams.title?"},
                  {"SELECT pure(1)", ""},
                  {"SELECT other.pure(1)", "??"},
                  {"SELECT nope(1)", "??"},
                  {"SELECT lower(title), coalesce(boss, now()::text) FROM teams", "teams.boss teams.title"},
                  {"SELECT pg_catalog.lower($1)", ""},
                  {"SELECT query_to_xml($1, true, true, '')", "??"},
                  {"SELECT nextval('users_id_seq')", "users.id"},
                  {"SELECT nextval('app.users_id_seq'::regclass)", "users.id"},
                  {"SELECT nextval('other_seq')", ""},
                  {"SELECT nextval($1)", "users.id? other.hidden.id? public.users.legacy?"},
                  {"SELECT nextval('public.users_id_seq')", "public.users.legacy"},
                  {"SELECT nextval('hidden_seq')", "other.hidden.id"},
                  {"SELECT t.mail FROM teams t", "teams.boss? teams.id? teams.mail? teams.title? users.email?"},
                  {"SELECT last_value FROM users_id_seq", "users_id_seq.last_value users.id"},
                  {"SELECT currval(pg_get_serial_sequence('teams', 'boss'))", "teams.boss"},
                  {"SELECT pg_get_serial_sequence($1, $2)", "users.id? other.hidden.id? public.users.legacy?"},
                  {"SELECT pg_relation_size('teams')", ""}});
}

}  // namespace
}  // namespace diastole::sql::column_use_test
