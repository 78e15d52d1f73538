#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "diastole/sql/analysis.hpp"

namespace diastole::sql {
namespace {

using core::LockMode;
using enum core::LockMode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr bool kKeeps = false;  // not destructive
constexpr bool kDestroys = true;
constexpr bool kAlone = false;  // cannot run in a transaction
constexpr bool kTx = true;

struct Case {
  std::string_view sql;
  std::string_view kind;
  LockMode lock;
  bool transactional;
  bool destructive;
  std::string_view tables;   // joined with ", "
  std::string_view creates;  // likewise
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.sql;
}

class ClassifyEachTest : public testing::TestWithParam<Case> {};

TEST_P(ClassifyEachTest, SaysWhatPostgresDoes) {
  const Case& expected = GetParam();
  const auto statements = classify(expected.sql);
  ASSERT_TRUE(statements) << statements.error().message;
  ASSERT_EQ(statements->size(), 1U);
  const core::Statement& statement = statements->front();
  EXPECT_EQ(statement.sql, expected.sql);
  EXPECT_EQ(statement.kind, expected.kind);
  EXPECT_EQ(to_string(statement.lock), to_string(expected.lock));
  EXPECT_EQ(statement.transactional, expected.transactional);
  EXPECT_EQ(statement.destructive, expected.destructive);
  EXPECT_EQ(fmt::format("{}", fmt::join(statement.tables(), ", ")), expected.tables);
  EXPECT_EQ(fmt::format("{}", fmt::join(statement.creates, ", ")), expected.creates);
}

const Case kTables[] = {
    {"CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE", none, kTx, kKeeps, "", "a"},
    {"CREATE TABLE IF NOT EXISTS app.\"A\" (id int)", "CREATE TABLE", none, kTx, kKeeps, "", "app.\"A\""},
    {"CREATE TABLE a (b int REFERENCES app.o (id))", "CREATE TABLE", share_row_exclusive, kTx, kKeeps, "app.o", "a"},
    {"CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a)", "CREATE TABLE", none, kTx, kKeeps, "", "a"},
    {"CREATE TABLE a (b int, FOREIGN KEY (b) REFERENCES o)", "CREATE TABLE", share_row_exclusive, kTx, kKeeps, "o",
     "a"},
    {"CREATE TABLE a (LIKE t INCLUDING ALL)", "CREATE TABLE", access_share, kTx, kKeeps, "t", "a"},
    {"CREATE TABLE a () INHERITS (p)", "CREATE TABLE", share_update_exclusive, kTx, kKeeps, "p", "a"},
    {"CREATE TABLE a PARTITION OF p DEFAULT", "CREATE TABLE", access_exclusive, kTx, kKeeps, "p", "a"},
    {"CREATE TABLE a AS SELECT * FROM t", "CREATE TABLE AS", access_share, kTx, kKeeps, "t", "a"},
    {"SELECT * INTO a FROM t", "SELECT INTO", access_share, kTx, kKeeps, "t", "a"},
    {"CREATE FOREIGN TABLE f (a int) SERVER s", "CREATE FOREIGN TABLE", none, kTx, kKeeps, "", "f"},
    {"DROP TABLE a, app.b", "DROP TABLE", access_exclusive, kTx, kDestroys, "a, app.b", ""},
    {"TRUNCATE a, b", "TRUNCATE TABLE", access_exclusive, kTx, kDestroys, "a, b", ""},
    {"LOCK TABLE a IN SHARE MODE", "LOCK TABLE", share, kTx, kKeeps, "a", ""},
    {"LOCK TABLE a", "LOCK TABLE", access_exclusive, kTx, kKeeps, "a", ""},
    {"CLUSTER t USING i", "CLUSTER", access_exclusive, kTx, kKeeps, "t", ""},
    {"CLUSTER", "CLUSTER", access_exclusive, kAlone, kKeeps, "", ""},
    {"VACUUM t", "VACUUM", share_update_exclusive, kAlone, kKeeps, "t", ""},
    {"VACUUM (FULL, ANALYZE) t", "VACUUM", access_exclusive, kAlone, kKeeps, "t", ""},
    {"VACUUM (FULL false) t", "VACUUM", share_update_exclusive, kAlone, kKeeps, "t", ""},
    {"ANALYZE t", "ANALYZE", share_update_exclusive, kTx, kKeeps, "t", ""},
};
INSTANTIATE_TEST_SUITE_P(Tables, ClassifyEachTest, testing::ValuesIn(kTables));

const Case kAlterTables[] = {
    {"ALTER TABLE t ADD COLUMN a int", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ADD COLUMN a int REFERENCES o", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t, o", ""},
    {"ALTER TABLE t DROP COLUMN a", "ALTER TABLE", access_exclusive, kTx, kDestroys, "t", ""},
    {"ALTER TABLE t ALTER a TYPE text", "ALTER TABLE", access_exclusive, kTx, kDestroys, "t", ""},
    {"ALTER TABLE t ALTER a SET DEFAULT 1", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ALTER a SET NOT NULL", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ALTER a DROP NOT NULL", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ALTER a SET STATISTICS 100", "ALTER TABLE", share_update_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ALTER a SET (n_distinct = 5)", "ALTER TABLE", share_update_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ALTER a SET STORAGE plain", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t SET (fillfactor = 70)", "ALTER TABLE", share_update_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t SET (user_catalog_table = true)", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1) NOT VALID", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o", "ALTER TABLE", share_row_exclusive, kTx, kKeeps, "t, o", ""},
    {"ALTER TABLE t ADD UNIQUE (a)", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t VALIDATE CONSTRAINT c", "ALTER TABLE", share_update_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ALTER CONSTRAINT c DEFERRABLE", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t DROP CONSTRAINT c", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t VALIDATE CONSTRAINT c, DROP COLUMN a", "ALTER TABLE", access_exclusive, kTx, kDestroys, "t", ""},
    {"ALTER TABLE t ATTACH PARTITION p DEFAULT", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t, p", ""},
    {"ALTER TABLE t DETACH PARTITION p", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t, p", ""},
    {"ALTER TABLE t DETACH PARTITION p CONCURRENTLY", "ALTER TABLE", access_exclusive, kAlone, kKeeps, "t, p", ""},
    {"ALTER TABLE t INHERIT p", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t, p", ""},
    {"ALTER TABLE t ENABLE TRIGGER g", "ALTER TABLE", share_row_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t OWNER TO r", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t CLUSTER ON i", "ALTER TABLE", share_update_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER TABLE t SET SCHEMA s", "ALTER TABLE", access_exclusive, kTx, kDestroys, "t", ""},
    {"ALTER TABLE t RENAME TO u", "ALTER TABLE", access_exclusive, kTx, kDestroys, "t", ""},
    {"ALTER TABLE t RENAME a TO b", "ALTER TABLE", access_exclusive, kTx, kDestroys, "t", ""},
    {"ALTER TABLE t RENAME CONSTRAINT a TO b", "ALTER TABLE", access_exclusive, kTx, kKeeps, "t", ""},
    {"ALTER VIEW v ALTER COLUMN a SET DEFAULT 1", "ALTER VIEW", access_exclusive, kTx, kKeeps, "v", ""},
    {"ALTER VIEW v RENAME COLUMN a TO b", "ALTER VIEW", access_exclusive, kTx, kDestroys, "v", ""},
    {"ALTER INDEX i SET (fillfactor = 70)", "ALTER INDEX", share_update_exclusive, kTx, kKeeps, "", ""},
    {"ALTER INDEX i RENAME TO j", "ALTER INDEX", share_update_exclusive, kTx, kKeeps, "", ""},
    {"ALTER TYPE c ADD ATTRIBUTE a int", "ALTER TYPE", access_exclusive, kTx, kKeeps, "", ""},
    {"ALTER SEQUENCE s RENAME TO q", "ALTER SEQUENCE", access_exclusive, kTx, kDestroys, "", ""},
    {"ALTER TRIGGER g ON t RENAME TO h", "ALTER TRIGGER", access_exclusive, kTx, kKeeps, "t", ""},
};
INSTANTIATE_TEST_SUITE_P(AlterTable, ClassifyEachTest, testing::ValuesIn(kAlterTables));

const Case kIndexes[] = {
    {"CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX", share, kTx, kKeeps, "t", ""},
    {"CREATE INDEX CONCURRENTLY i ON app.t (a)", "CREATE INDEX", share_update_exclusive, kAlone, kKeeps, "app.t", ""},
    {"DROP INDEX i", "DROP INDEX", access_exclusive, kTx, kKeeps, "", ""},
    {"DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX", share_update_exclusive, kAlone, kKeeps, "", ""},
    {"REINDEX INDEX i", "REINDEX", access_exclusive, kTx, kKeeps, "", ""},
    {"REINDEX TABLE t", "REINDEX", share, kTx, kKeeps, "t", ""},
    {"REINDEX INDEX CONCURRENTLY i", "REINDEX", share_update_exclusive, kAlone, kKeeps, "", ""},
    {"REINDEX (CONCURRENTLY) TABLE t", "REINDEX", share_update_exclusive, kAlone, kKeeps, "t", ""},
    {"REINDEX SCHEMA s", "REINDEX", share, kAlone, kKeeps, "", ""},
    {"CREATE STATISTICS s ON a, b FROM t", "CREATE STATISTICS", share_update_exclusive, kTx, kKeeps, "t", ""},
    {"DROP STATISTICS s", "DROP STATISTICS", share_update_exclusive, kTx, kKeeps, "", ""},
};
INSTANTIATE_TEST_SUITE_P(Indexes, ClassifyEachTest, testing::ValuesIn(kIndexes));

const Case kObjects[] = {
    {"CREATE VIEW v AS SELECT * FROM a JOIN b USING (x)", "CREATE VIEW", access_share, kTx, kKeeps, "a, b", "v"},
    {"CREATE OR REPLACE VIEW v AS SELECT * FROM a", "CREATE VIEW", access_exclusive, kTx, kKeeps, "a", "v"},
    {"DROP VIEW v", "DROP VIEW", access_exclusive, kTx, kDestroys, "v", ""},
    {"CREATE MATERIALIZED VIEW m AS SELECT * FROM a", "CREATE MATERIALIZED VIEW", access_share, kTx, kKeeps, "a", "m"},
    {"REFRESH MATERIALIZED VIEW m", "REFRESH MATERIALIZED VIEW", access_exclusive, kTx, kKeeps, "m", ""},
    {"REFRESH MATERIALIZED VIEW CONCURRENTLY m", "REFRESH MATERIALIZED VIEW", exclusive, kTx, kKeeps, "m", ""},
    {"DROP MATERIALIZED VIEW m", "DROP MATERIALIZED VIEW", access_exclusive, kTx, kDestroys, "m", ""},
    {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION", none, kTx, kKeeps, "", ""},
    {"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a FROM t; END", "CREATE FUNCTION", access_share,
     kTx, kKeeps, "t", ""},
    {"DROP FUNCTION f(int)", "DROP FUNCTION", none, kTx, kDestroys, "", ""},
    {"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "CREATE TRIGGER", share_row_exclusive,
     kTx, kKeeps, "t", ""},
    {"DROP TRIGGER g ON app.t", "DROP TRIGGER", access_exclusive, kTx, kKeeps, "app.t", ""},
    {"CREATE RULE r AS ON INSERT TO t DO NOTHING", "CREATE RULE", access_exclusive, kTx, kKeeps, "t", ""},
    {"CREATE POLICY p ON t", "CREATE POLICY", access_exclusive, kTx, kKeeps, "t", ""},
    {"DROP POLICY p ON t", "DROP POLICY", access_exclusive, kTx, kKeeps, "t", ""},
    {"CREATE TYPE e AS ENUM ('a')", "CREATE TYPE", none, kTx, kKeeps, "", ""},
    {"CREATE TYPE c AS (x int)", "CREATE TYPE", none, kTx, kKeeps, "", ""},
    {"ALTER TYPE e ADD VALUE 'b'", "ALTER TYPE", none, kTx, kKeeps, "", ""},
    {"ALTER TYPE e RENAME VALUE 'a' TO 'b'", "ALTER TYPE", none, kTx, kDestroys, "", ""},
    {"ALTER TYPE e RENAME TO f", "ALTER TYPE", none, kTx, kDestroys, "", ""},
    {"DROP TYPE e", "DROP TYPE", none, kTx, kDestroys, "", ""},
    {"DROP TYPE e CASCADE", "DROP TYPE", access_exclusive, kTx, kDestroys, "", ""},
    {"ALTER DOMAIN d ADD CHECK (value > 0)", "ALTER DOMAIN", share, kTx, kKeeps, "", ""},
    {"ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0) NOT VALID", "ALTER DOMAIN", none, kTx, kKeeps, "", ""},
    {"CREATE SEQUENCE s", "CREATE SEQUENCE", none, kTx, kKeeps, "", ""},
    {"ALTER SEQUENCE s OWNED BY t.id", "ALTER SEQUENCE", share_row_exclusive, kTx, kKeeps, "t", ""},
    {"DROP SEQUENCE s", "DROP SEQUENCE", access_exclusive, kTx, kDestroys, "", ""},
    {"CREATE SCHEMA s", "CREATE SCHEMA", none, kTx, kKeeps, "", ""},
    {"CREATE SCHEMA s CREATE TABLE x (a int)", "CREATE SCHEMA", none, kTx, kKeeps, "", "s.x"},
    {"DROP SCHEMA s", "DROP SCHEMA", none, kTx, kDestroys, "", ""},
    {"ALTER SCHEMA a RENAME TO b", "ALTER SCHEMA", none, kTx, kDestroys, "", ""},
    {"CREATE EXTENSION pgcrypto", "CREATE EXTENSION", none, kTx, kKeeps, "", ""},
    {"COMMENT ON COLUMN app.t.a IS 'x'", "COMMENT", share_update_exclusive, kTx, kKeeps, "app.t", ""},
    {"COMMENT ON CONSTRAINT c ON t IS 'x'", "COMMENT", access_share, kTx, kKeeps, "t", ""},
    {"GRANT SELECT ON t TO r", "GRANT", none, kTx, kKeeps, "t", ""},
    {"REVOKE ALL ON SEQUENCE s FROM r", "REVOKE", none, kTx, kKeeps, "", ""},
    {"GRANT a TO b", "GRANT ROLE", none, kTx, kKeeps, "", ""},
    {"CREATE PUBLICATION p FOR TABLE a, b", "CREATE PUBLICATION", share_update_exclusive, kTx, kKeeps, "a, b", ""},
    {"CREATE DATABASE d", "CREATE DATABASE", none, kAlone, kKeeps, "", ""},
    {"DROP DATABASE d", "DROP DATABASE", access_exclusive, kAlone, kDestroys, "", ""},
};
INSTANTIATE_TEST_SUITE_P(Objects, ClassifyEachTest, testing::ValuesIn(kObjects));

const Case kRows[] = {
    {"SELECT * FROM a", "SELECT", access_share, kTx, kKeeps, "a", ""},
    {"SELECT * FROM a FOR UPDATE", "SELECT", row_share, kTx, kKeeps, "a", ""},
    {"WITH x AS (SELECT 1 FROM a) SELECT * FROM x", "SELECT", access_share, kTx, kKeeps, "a", ""},
    {"WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "SELECT", row_exclusive, kTx, kDestroys, "a", ""},
    {"WITH a AS (SELECT 1) DELETE FROM a", "DELETE", row_exclusive, kTx, kDestroys, "a", ""},
    {"INSERT INTO a SELECT * FROM b", "INSERT", row_exclusive, kTx, kKeeps, "a, b", ""},
    {"INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET x = 1", "INSERT", row_exclusive, kTx, kDestroys, "a", ""},
    {"UPDATE a SET x = 1", "UPDATE", row_exclusive, kTx, kDestroys, "a", ""},
    {"DELETE FROM a USING b WHERE a.x = b.x", "DELETE", row_exclusive, kTx, kDestroys, "a, b", ""},
    {"MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE", "MERGE", row_exclusive, kTx, kDestroys, "a, b", ""},
    {"MERGE INTO a USING b ON a.x = b.x WHEN NOT MATCHED THEN INSERT VALUES (1)", "MERGE", row_exclusive, kTx, kKeeps,
     "a, b", ""},
    {"SET work_mem = '1GB'", "SET", none, kTx, kKeeps, "", ""},
    {"RESET work_mem", "RESET", none, kTx, kKeeps, "", ""},
    {"BEGIN", "BEGIN", none, kTx, kKeeps, "", ""},
    {"ROLLBACK TO SAVEPOINT s", "ROLLBACK", none, kTx, kKeeps, "", ""},
    {"DO $$ BEGIN DROP TABLE x; END $$", "DO", access_exclusive, kTx, kDestroys, "", ""},
    {"CALL p()", "CALL", access_exclusive, kTx, kDestroys, "", ""},
    {"COPY a FROM STDIN", "COPY", access_exclusive, kTx, kDestroys, "a", ""},
};
INSTANTIATE_TEST_SUITE_P(Rows, ClassifyEachTest, testing::ValuesIn(kRows));

TEST(ClassifyTest, IndexIsNamedWithItsTablesSchema) {
  EXPECT_EQ(classify("CREATE INDEX CONCURRENTLY i ON t (a)")->front().index, "i");
  EXPECT_EQ(classify("CREATE INDEX CONCURRENTLY \"I\" ON \"App\".t (a)")->front().index, "\"App\".\"I\"");
  EXPECT_EQ(classify("DROP INDEX CONCURRENTLY app.i")->front().index, "app.i");
  EXPECT_EQ(classify("CREATE INDEX i ON t (a)")->front().index, "");
}

TEST(ClassifyTest, TableCreatedInTheSameTextIsNoExistingTable) {
  const auto statements =
      classify("CREATE TABLE a (id int); CREATE INDEX i ON a (id); ALTER TABLE b ADD FOREIGN KEY (x) REFERENCES a");
  ASSERT_EQ(statements->size(), 3U);
  EXPECT_THAT((*statements)[1].tables(), IsEmpty());
  EXPECT_EQ((*statements)[1].lock, none);
  EXPECT_THAT((*statements)[2].tables(), ElementsAre("b"));
}

std::vector<std::string> texts(std::string_view sql) {
  std::vector<std::string> result;
  const auto statements = classify(sql);
  if (!statements) return {statements.error().message};
  for (const auto& statement : *statements) result.push_back(statement.sql);
  return result;
}

TEST(ClassifyTest, SplitsAsTheParserDoes) {
  EXPECT_THAT(texts("SELECT 1;SELECT 2"), ElementsAre("SELECT 1", "SELECT 2"));
  EXPECT_THAT(texts(" ;; SELECT 1 ; ; "), ElementsAre("SELECT 1"));
  EXPECT_THAT(texts("SELECT ';'; SELECT $a$;$b$;$a$"), ElementsAre("SELECT ';'", "SELECT $a$;$b$;$a$"));
  EXPECT_THAT(texts("-- one; two\nSELECT 1; /* ; /* ; */ */ SELECT 2"), ElementsAre("SELECT 1", "SELECT 2"));
  EXPECT_THAT(texts("SELECT 'é'; SELECT \"ü;\" FROM t"), ElementsAre("SELECT 'é'", "SELECT \"ü;\" FROM t"));
  const std::string_view atomic = "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END";
  EXPECT_THAT(texts(std::string(atomic) + "; SELECT 3"), ElementsAre(atomic, "SELECT 3"));
  const std::string_view rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)";
  EXPECT_THAT(texts(rule), ElementsAre(rule));
}

TEST(ClassifyTest, SaysWhereTheSyntaxIsWrong) {
  EXPECT_THAT(texts("SELECT 1;\n  SELEC 2"), ElementsAre("line 2, column 3: syntax error at or near \"SELEC\""));
  // Columns are characters, not bytes.
  EXPECT_THAT(texts("SELECT 'éééé' FRM x y"), ElementsAre("line 1, column 19: syntax error at or near \"x\""));
  EXPECT_THAT(texts("SELECT (1"), ElementsAre("line 1, column 10: syntax error at end of input"));
  EXPECT_EQ(classify("SELEC").error().code, ErrorCode::invalid_argument);
}

TEST(ClassifyTest, RefusesWhatIsNoSql) {
  EXPECT_THAT(texts(""), ElementsAre("line 1, column 1: the SQL holds no statement"));
  EXPECT_THAT(texts(" ; -- nothing\n"), ElementsAre("line 1, column 1: the SQL holds no statement"));
  EXPECT_THAT(texts(std::string_view("SELECT 1\0; DROP TABLE a", 23)),
              ElementsAre(HasSubstr("column 9: a NUL character")));
  EXPECT_THAT(texts("SELECT '\xC3\x28'"), ElementsAre(HasSubstr("column 9: not UTF-8: byte 0xc3")));
  EXPECT_THAT(texts("SELECT '\xED\xA0\x80'"), ElementsAre(HasSubstr("not UTF-8")));  // a surrogate
  EXPECT_THAT(texts("SELECT '\xC0\xAF'"), ElementsAre(HasSubstr("not UTF-8")));      // overlong
  EXPECT_THAT(texts("SELECT '" + std::string(kMaxSqlBytes, 'x') + "'"), ElementsAre(HasSubstr("at most 1048576")));
}

// As deep as a tree of the size that is allowed can be.
constexpr std::size_t kDeepBytes = 640 * 1024;

TEST(ClassifyTest, SurvivesTheDeepestTextThatIsAllowed) {
  std::string sum = "SELECT 1";
  while (sum.size() + 2 <= kDeepBytes) sum += "+1";
  EXPECT_EQ(classify(sum)->front().kind, "SELECT");
  std::string casts = "SELECT 1";
  while (casts.size() + 3 <= kDeepBytes) casts += "::a";
  EXPECT_EQ(classify(casts)->front().kind, "SELECT");
  const auto parentheses = classify("SELECT " + std::string(30'000, '(') + "1" + std::string(30'000, ')'));
  ASSERT_FALSE(parentheses);
  EXPECT_THAT(parentheses.error().message, HasSubstr("memory exhausted"));
}

TEST(ClassifyTest, ErrorMessageStaysShort) {
  const auto operators = classify("SELECT 1" + std::string(60'000, '%'));
  ASSERT_FALSE(operators);
  EXPECT_LT(operators.error().message.size(), 400U);
}

}  // namespace
}  // namespace diastole::sql
