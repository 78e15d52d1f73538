// Statements as long and as deep as they may be: bounded in time and memory.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cctype>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "diastole/sql/analysis.hpp"
#include "diastole/sql/column_use.hpp"
#include "support/catalog.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

using namespace std::chrono_literals;

#if defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
constexpr int kSlower = 4;
constexpr std::size_t kBytes = kMaxSqlBytes / 8;
#else
constexpr int kSlower = 1;
constexpr std::size_t kBytes = kMaxSqlBytes;
#endif
// Each of the analyses of one text, with other programs on the same cores.
constexpr auto kTimeBound = 20s * kSlower;
constexpr long kMemoryBoundKb = 1024L * 1024 * kSlower;

struct Shape {
  std::string_view name;
  std::string_view before;
  std::string_view part;
  std::string_view after;
  std::string_view close = "";  // as often as `part`, behind what follows it
  std::size_t most = kMaxSqlBytes;
};
void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.name;
}

// `part` as often as it fits; # in it is the number of the part.
std::string text_of(const Shape& shape) {
  std::string text(shape.before);
  std::string close;
  for (std::size_t i = 0; i < shape.most; ++i) {
    std::string part(shape.part);
    for (auto at = part.find('#'); at != std::string::npos; at = part.find('#'))
      part.replace(at, 1, fmt::format("{}", i));
    if (text.size() + part.size() + close.size() + shape.close.size() + shape.after.size() > kBytes) break;
    text += part;
    close += shape.close;
  }
  return text.append(shape.after) + close;
}

long peak_memory_kb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

const Shape kShapes[] = {
    {"unary minus", "SELECT ", "- ", "1"},
    {"signs", "SELECT ", "+-", "1"},
    {"NOT", "SELECT ", "NOT ", "true"},
    {"sum", "SELECT 1", "+1", ""},
    {"AND", "SELECT * FROM users WHERE a", " AND a", ""},
    {"AND in an UPDATE", "UPDATE users SET age = 1 WHERE age = 1", " AND age = 1", ""},
    {"OR in a CHECK", "ALTER TABLE users ADD CHECK (age = 1", " OR age = 1", ") NOT VALID"},
    {"concatenation in a default", "ALTER TABLE users ADD a text DEFAULT ''", "||'a'", ""},
    {"parentheses", "SELECT ", "(", "1", ")"},
    {"arrays", "SELECT ", "ARRAY[", "1", "]"},
    {"casts", "SELECT a", "::a", ""},
    {"function calls", "SELECT ", "f(", "a", ")"},
    {"subscripts", "SELECT a", "[1]", ""},
    {"fields", "SELECT (a)", ".a", ""},
    {"subqueries", "", "SELECT (", "SELECT 1", ")"},
    {"subqueries in FROM", "", "SELECT * FROM (", "SELECT 1", ") q"},
    {"EXISTS", "SELECT 1 FROM users WHERE ", "EXISTS (SELECT 1 FROM users WHERE ", "age = 1", ")"},
    {"CASE", "SELECT ", "CASE WHEN a THEN ", "1", " END"},
    {"WHEN", "SELECT CASE", " WHEN a THEN 1", " END"},
    {"UNION", "SELECT 1", " UNION SELECT 1", ""},
    {"WITH", "WITH c AS (SELECT 1)", ", c# AS (SELECT * FROM users)", " SELECT 1"},
    {"WITH in WITH", "", "WITH c AS (", "SELECT 1", ") SELECT 1 FROM c"},
    {"joins", "SELECT 1 FROM users", " JOIN users USING (id)", ""},
    {"FROM", "SELECT 1 FROM users", ", t#", ""},
    {"columns", "SELECT a", ", c#", " FROM users"},
    {"VALUES", "INSERT INTO users VALUES (1)", ", (1, 'a')", ""},
    {"short VALUES", "VALUES (1)", ",(1)", ""},
    {"ON CONFLICT", "INSERT INTO users VALUES (1) ON CONFLICT DO UPDATE SET a = 1", ", a# = 1", ""},
    {"SET", "UPDATE users SET a = 1", ", a# = 1", " WHERE id = 1"},
    {"SET in a large UPDATE", "UPDATE users SET a = 1", ", a# = 1", ""},
    {"literal", "SELECT '", "x", "'"},
    {"quotes", "SELECT '", "''", "'"},
    {"dollars", "SELECT ", "$a# ", "1"},
    {"comment", "/*", "x", "*/ SELECT 1"},
    {"comments", "", "/*", " SELECT 1", "*/"},
    {"line comments", "", "--\n", "SELECT 1"},
    {"only a comment", "", "-", ""},
    {"blanks", "", " ", "SELECT 1"},
    {"identifier", "SELECT ", "x", ""},
    {"long names", "SELECT 1", ", a23456789_123456789_123456789_123456789_123456789_123456789_123456789", ""},
    {"statements", "", "SELECT 1;", ""},
    {"statements behind lines", "", "SELECT 1;\n", ""},
    {"statements with errors", "", "DROP TABLE t#;", ""},
    {"statements on one table", "", "ALTER TABLE users ADD a# int;", ""},
    {"defaults", "", "ALTER TABLE users ALTER age SET DEFAULT #;", ""},
    {"foreign keys", "", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o# NOT VALID;", ""},
    {"tables", "", "CREATE TABLE t# (a int);", ""},
    {"indexes", "", "CREATE INDEX i# ON users (age);", ""},
    {"dropped indexes", "", "DROP INDEX i#;", ""},
    {"updates", "", "UPDATE users SET a = 1;", ""},
    {"validations", "", "ALTER TABLE users VALIDATE CONSTRAINT c#;", ""},
    {"renames", "", "ALTER TABLE t# RENAME TO u#;", ""},
    {"semicolons", "SELECT 1", ";", ""},
    {"BEGIN", "", "BEGIN;", ""},
    {"columns of a table", "CREATE TABLE t (a int", ", a# bigint NOT NULL DEFAULT 0", ")", "", 10'000},
    {"all columns of a table", "CREATE TABLE t (a bool", ", a# int", ")"},
    {"keys of a table", "CREATE TABLE t (a int", ", FOREIGN KEY (a) REFERENCES o#", ")"},
    {"references", "CREATE TABLE t (a int", ", a# bigint REFERENCES users", ")", "", 15'000},
    {"subcommands", "ALTER TABLE users ADD a int", ", ADD a# int", "", "", 20'000},
    {"types", "ALTER TABLE users ALTER a TYPE int", ", ALTER a# TYPE int", "", "", 20'000},
    {"SET NOT NULL", "ALTER TABLE users ALTER a SET NOT NULL", ", ALTER a# SET NOT NULL", "", "", 20'000},
    {"drops", "ALTER TABLE users DROP a", ", DROP a#", "", "", 20'000},
    {"DROP NOT NULL", "ALTER TABLE users ALTER a DROP NOT NULL", ", ALTER a# DROP NOT NULL", ""},
    {"SET DEFAULT", "ALTER TABLE users ALTER a SET DEFAULT 1", ", ALTER a# SET DEFAULT 1", ""},
    {"dropped constraints", "ALTER TABLE users DROP CONSTRAINT a CASCADE", ", DROP CONSTRAINT c# CASCADE", ""},
    {"row security", "ALTER TABLE users ENABLE ROW LEVEL SECURITY", ", ENABLE ROW LEVEL SECURITY", ""},
    {"logged", "ALTER TABLE users SET LOGGED", ", SET LOGGED", ""},
    {"constraints", "ALTER TABLE users ADD CHECK (true)", ", ADD CONSTRAINT c# CHECK (true) NOT VALID", ""},
    {"foreign keys of a table", "ALTER TABLE users ADD a int", ", ADD FOREIGN KEY (a) REFERENCES o#", ""},
    {"IN", "SELECT * FROM users WHERE id IN (1", ",1", ")", "", 200'000},
    {"IN, deleting", "DELETE FROM users WHERE id IN (1", ",1", ")", "", 200'000},
    {"GRANT", "GRANT SELECT ON users", ", t#", " TO r"},
    {"DROP", "DROP TABLE users", ", t#", ""},
    {"REVOKE", "REVOKE SELECT (a) ON users", ", t#", " FROM r"},
    {"DROP VIEW", "DROP VIEW users", ", t#", " CASCADE"},
    {"DROP INDEX", "DROP INDEX users_age", ", t#", " CASCADE"},
    {"TRUNCATE", "TRUNCATE users", ", t#", " CASCADE"},
    {"LOCK", "LOCK TABLE users", ", t#", ""},
    {"VACUUM", "VACUUM FULL users", ", t#", ""},
    {"enum", "CREATE TYPE e AS ENUM ('a'", ", 'a#'", ")"},
    {"new values of an enum", "", "ALTER TYPE e ADD VALUE 'a#';", "SELECT 'a1'::e"},
    {"uses of a new value", "ALTER TYPE e ADD VALUE 'a';", "SELECT 'a'::e;", ""},
    {"publication", "ALTER PUBLICATION feed SET TABLE users", ", t#", ""},
    {"sequences", "", "ALTER SEQUENCE s# RESTART;", ""},
    {"functions", "", "CREATE OR REPLACE FUNCTION f#() RETURNS int LANGUAGE c;", ""},
    {"functions dropped", "DROP FUNCTION f()", ", f#()", ""},
    {"owners", "ALTER TABLE users OWNER TO r", ", OWNER TO r", ""},
    {"index columns", "CREATE INDEX i ON users (age", ", a#", ")"},
    {"function", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS '", "SELECT 1;", "'"},
    {"tables of a function", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS '", "DROP TABLE t#;", "'"},
    {"atomic function", "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC ", "SELECT 1;", " END"},
    {"schema", "CREATE SCHEMA s", " CREATE TABLE t# (a int)", ""},
    {"sequences of a schema", "CREATE SCHEMA s", " CREATE SEQUENCE t#", ""},
    {"view", "CREATE VIEW v AS SELECT 1 FROM users", ", users u#", ""},
    {"UTF-8", "SELECT '", "\xF0\x9F\x98\x80", "'"},
    {"error at the end", "SELECT 1", ";SELECT 1", ";SELEC"},
};

std::string refusal(std::string_view sql) {
  const auto classified = classify(sql);
  return classified ? std::string{} : classified.error().message;
}

std::string repeated(std::string_view part, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += part;
  return text;
}

TEST(TextTest, RunsOfOperatorsThatTheScannerReadsAnewAreRefused) {
  EXPECT_EQ(refusal("SELECT " + repeated("+-", 1000) + "1"), "");
  EXPECT_EQ(refusal("SELECT " + repeated("+-", 1001) + "1"),
            "line 1, column 2008: more than 1000 + or /* without anything between them");
  EXPECT_EQ(refusal(repeated("/*", 500) + repeated("*/", 500) + "SELECT 1"), "");
  EXPECT_NE(refusal(repeated("/*", 1001) + repeated("*/", 1001) + "SELECT 1"), "");
  EXPECT_EQ(refusal("SELECT 1 " + repeated("-", 5000)), "");
  EXPECT_EQ(refusal("SELECT 1 /" + repeated("*", 5000) + "/"), "");
}

// The scanner cuts what it quotes after a byte: found by tests/fuzz.
TEST(TextTest, AMessageDoesNotEndWithinACharacter) {
  EXPECT_EQ(refusal("8\xC3\xA2"), "line 1, column 1: trailing junk after numeric literal at or near \"8\xEF\xBF\xBD\"");
  EXPECT_EQ(well_formed("a\xC3\xA2\xF0\x9F\x98z\xA2"), "a\xC3\xA2\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
}

// Each hangs on the next.
core::CatalogSnapshot catalog_with_functions() {
  auto catalog = test::shop_catalog();
  for (int i = 0; i < 20'000; ++i) {
    catalog.objects.push_back({.kind = "function", .name = {"public", fmt::format("f{}", i)}});
    catalog.objects.back().dependents.push_back(
        test::catalog_dependent(core::DependentKind::function, fmt::format("f{}", i + 1), "", {}));
  }
  return catalog;
}

class LimitsTest : public testing::TestWithParam<Shape> {};

TEST_P(LimitsTest, TakesLittleTimeAndMemory) {
  const std::string text = text_of(GetParam());
  const core::CatalogSnapshot catalog = catalog_with_functions();
  const UseFinder finder(catalog);
  const auto bounded = [&](std::string_view what, const std::function<void()>& run) {
    const long memory = peak_memory_kb();
    const auto begin = std::chrono::steady_clock::now();
    run();
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took, kTimeBound) << what;
    EXPECT_LT(peak_memory_kb() - memory, kMemoryBoundKb) << what;
    RecordProperty(std::string(what), fmt::format("{} ms", took / 1ms));
    if (std::getenv("DIASTOLE_LIMITS_SHOW") != nullptr && took > 400ms * kSlower)
      fmt::print("{}, {}: {} ms, {} kB\n", GetParam().name, what, took / 1ms, peak_memory_kb() - memory);
  };
  bounded("lint in contract", [&] { (void)lint(text, core::Phase::contract); });
  bounded("lint in expand with a catalog", [&] { (void)lint(text, core::Phase::expand, &catalog); });
  bounded("use", [&] { (void)finder.find(text); });
  core::Plan plan;
  plan.steps.emplace_back().sql = text;
  bounded("concerns", [&] { (void)concerns(plan); });
}

std::string shape_name(const testing::TestParamInfo<Shape>& info) {
  std::string name;
  for (const char c : info.param.name) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Shapes, LimitsTest, testing::ValuesIn(kShapes), shape_name);

}  // namespace
}  // namespace diastole::sql
