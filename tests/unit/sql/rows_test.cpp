// How many rows a statement may write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "diastole/sql/analysis.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::Severity;

// "few", or the rule that says that they may be many, with a ? where that is not sure.
std::string rows_of(std::string_view sql, const core::CatalogSnapshot* catalog) {
  for (const auto& finding : *lint(sql, core::Phase::expand, catalog)) {
    if (finding.rule == "affected-row-limit" || finding.rule == "unbatched-dml" || finding.rule == "dml-without-where")
      return finding.rule + (finding.severity == Severity::warning ? "?" : "");
  }
  return "few";
}

struct Case {
  std::string_view sql;
  std::string_view rows;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.sql;
}

constexpr std::string_view kFew = "few";
constexpr std::string_view kUnbatched = "unbatched-dml";
constexpr std::string_view kInsert = "affected-row-limit";
constexpr std::string_view kDoubt = "affected-row-limit?";

const Case kWithoutCatalog[] = {
    {"DELETE FROM t WHERE id = 7", kFew},
    {"DELETE FROM t WHERE 7 = id", kFew},
    {"DELETE FROM t WHERE id = -7", kFew},
    {"DELETE FROM t WHERE id = '0b1f'::uuid", kFew},
    {"DELETE FROM t WHERE id = CAST('7' AS bigint)", kFew},
    {"DELETE FROM t WHERE id = ANY (ARRAY[1, 2])", kFew},
    {"DELETE FROM t WHERE id = ANY ('{1,2}'::bigint[])", kFew},
    {"DELETE FROM t WHERE id = 1 OR id = 2 AND a", kFew},
    {"DELETE FROM t WHERE (id, a) = (1, 2)", kFew},
    {"DELETE FROM t WHERE (id, a) IN ((1, 2), (3, 4))", kFew},
    {"DELETE FROM t WHERE id = 1 OR a = 2", kUnbatched},
    {"DELETE FROM t WHERE id = a", kUnbatched},
    {"DELETE FROM t WHERE id <> 1", kUnbatched},
    {"DELETE FROM t WHERE id NOT IN (1)", kUnbatched},
    {"DELETE FROM t WHERE id = ANY (ARRAY(SELECT a FROM u))", kUnbatched},
    {"DELETE FROM t WHERE id IN (SELECT a FROM u)", kUnbatched},
    {"DELETE FROM t WHERE email = 'x'", kUnbatched},
    // whose id
    {"UPDATE t SET a = u.a FROM u WHERE u.id = 1", kUnbatched},
    {"UPDATE t SET a = u.a FROM u WHERE id = 1", kUnbatched},
    {"UPDATE t SET a = u.a FROM u WHERE t.id = 1", kFew},
    {"UPDATE t AS x SET a = 1 FROM u WHERE x.id = 1", kFew},
    {"DELETE FROM app.t WHERE app.t.id = 1", kFew},
    {"DELETE FROM t USING u WHERE u.id = 1", kUnbatched},

    {"INSERT INTO a VALUES (1), (2)", kFew},
    {"INSERT INTO a SELECT 1", kFew},
    {"INSERT INTO a SELECT * FROM (VALUES (1), (2)) AS v", kFew},
    {"INSERT INTO a SELECT 1 WHERE NOT EXISTS (SELECT FROM t)", kFew},
    {"INSERT INTO a SELECT * FROM t", kDoubt},
    {"INSERT INTO a SELECT * FROM t LIMIT 100", kFew},
    {"INSERT INTO a SELECT * FROM t FETCH FIRST 10 ROWS ONLY", kFew},
    {"INSERT INTO a SELECT * FROM t LIMIT 100000000", kDoubt},
    {"INSERT INTO a SELECT * FROM t LIMIT ALL", kDoubt},
    {"INSERT INTO a SELECT * FROM t LIMIT (SELECT count(*) FROM u)", kDoubt},
    {"INSERT INTO a TABLE t", kDoubt},
    {"INSERT INTO a SELECT 1 UNION ALL SELECT b FROM t", kDoubt},
    {"INSERT INTO a SELECT 1 UNION ALL SELECT 2", kFew},
    {"INSERT INTO a SELECT 1 EXCEPT SELECT b FROM t", kFew},
    {"INSERT INTO a (SELECT b FROM t UNION SELECT c FROM u) LIMIT 5", kFew},
    {"INSERT INTO a SELECT * FROM generate_series(1, 100)", kFew},
    {"INSERT INTO a SELECT * FROM generate_series(1, 10000000)", kInsert},
    {"INSERT INTO a SELECT * FROM generate_series(1, 10000000, 100000)", kFew},
    {"INSERT INTO a SELECT generate_series(1, 10000000)", kInsert},
    {"INSERT INTO a SELECT * FROM generate_series(now(), now() + '1 year', '1 second')", kDoubt},
    {"INSERT INTO a SELECT * FROM unnest(ARRAY[1, 2])", kFew},
    {"INSERT INTO a SELECT * FROM f()", kDoubt},
    {"INSERT INTO a SELECT * FROM (SELECT * FROM t) AS s", kDoubt},
    {"INSERT INTO a SELECT * FROM (SELECT * FROM t LIMIT 3) AS s", kFew},
    {"INSERT INTO a SELECT count(*), coalesce(max(b), 0) FROM t", kFew},
    {"INSERT INTO a SELECT b, count(*) FROM t GROUP BY b", kDoubt},
    {"INSERT INTO a SELECT count(*) OVER () FROM t", kDoubt},
    {"INSERT INTO a SELECT (SELECT max(b) FROM u) FROM t", kDoubt},
    {"WITH x AS (SELECT * FROM t) INSERT INTO a SELECT * FROM x", kDoubt},
    {"INSERT INTO a WITH x AS (SELECT * FROM t) SELECT * FROM x", kDoubt},
    {"WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x", kFew},
    {"WITH x AS (SELECT * FROM t WHERE id = 1) INSERT INTO a SELECT * FROM x", kFew},
    {"WITH x AS (INSERT INTO b VALUES (1) RETURNING *) INSERT INTO a SELECT * FROM x", kFew},
    {"WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) INSERT INTO a SELECT * FROM x", kDoubt},
    {"INSERT INTO a SELECT * FROM t JOIN u ON u.b = t.id WHERE t.id = 1", kDoubt},
    {"INSERT INTO a SELECT * FROM t JOIN u ON u.b = t.id WHERE t.id = 1 AND u.id = 2", kFew},
    {"CREATE TABLE t (b int); INSERT INTO a SELECT * FROM t", kFew},
    {"CREATE TABLE t AS SELECT * FROM u; INSERT INTO a SELECT * FROM t", kDoubt},
    {"CREATE TABLE t AS SELECT * FROM u WITH NO DATA; INSERT INTO a SELECT * FROM t", kFew},
    {"CREATE TABLE t AS SELECT * FROM u; UPDATE t SET b = 1", kFew},
    {"CREATE VIEW t AS SELECT * FROM u; UPDATE t SET b = 1 WHERE b = 2", kUnbatched},
    {"CREATE VIEW t AS SELECT * FROM u; INSERT INTO a SELECT * FROM t", kDoubt},
};
class RowsTest : public testing::TestWithParam<Case> {};
TEST_P(RowsTest, AreNamedById) {
  EXPECT_EQ(rows_of(GetParam().sql, nullptr), GetParam().rows);
}
INSTANTIATE_TEST_SUITE_P(Rows, RowsTest, testing::ValuesIn(kWithoutCatalog));

// visits: a unique key of two columns, one that is partial, one that is not valid, and `id` that is not unique.
core::CatalogSnapshot catalog_with_visits() {
  auto catalog = test::shop_catalog();
  auto visits = test::catalog_table("visits", 80'000'000);
  visits.columns = {test::catalog_column("id", "bigint"), test::catalog_column("shop", "bigint"),
                    test::catalog_column("day", "date"), test::catalog_column("code", "text")};
  visits.indexes = {test::catalog_index("by_day", {"shop", "day"}, true), test::catalog_index("by_id", {"id"}),
                    test::catalog_index("by_code", {"code"}, true), test::catalog_index("by_lower", {""}, true)};
  visits.indexes[2].partial = true;
  visits.indexes.push_back(test::catalog_index("broken", {"day"}, true));
  visits.indexes.back().valid = false;
  catalog.relations.push_back(visits);
  auto labels = test::catalog_table("labels", -1);
  labels.kind = core::RelationKind::view;
  labels.reads = {{"public", "lookup"}};
  catalog.relations.push_back(labels);
  auto abroad = test::catalog_table("abroad", -1);
  abroad.kind = core::RelationKind::foreign_table;
  abroad.bytes = abroad.index_bytes = 0;
  catalog.relations.push_back(abroad);
  return catalog;
}

const Case kWithCatalog[] = {
    {"DELETE FROM users WHERE email = 'x'", kFew},
    {"DELETE FROM users WHERE age = 7", kUnbatched},
    {"DELETE FROM visits WHERE shop = 1 AND day = '2024-01-01'::date", kFew},
    {"DELETE FROM visits WHERE shop IN (1, 2) AND (day = '2024-01-01' OR day = '2024-01-02')", kUnbatched},
    {"DELETE FROM visits WHERE (shop, day) IN ((1, '2024-01-01'))", kFew},
    {"DELETE FROM visits WHERE shop = 1", kUnbatched},
    {"DELETE FROM visits WHERE day = '2024-01-01'", kUnbatched},
    {"DELETE FROM visits WHERE id = 1", kUnbatched},
    {"DELETE FROM visits WHERE code = 'x'", kUnbatched},
    {"CREATE UNIQUE INDEX CONCURRENTLY i ON visits (id); DELETE FROM visits WHERE id = 1", kFew},
    {"CREATE UNIQUE INDEX CONCURRENTLY i ON visits (id) WHERE shop > 1; DELETE FROM visits WHERE id = 1", kUnbatched},
    {"DROP INDEX CONCURRENTLY users_email; DELETE FROM users WHERE email = 'x'", kUnbatched},
    {"DELETE FROM adults WHERE id = 1", kFew},
    {"DELETE FROM labels WHERE label = 'x'", kFew},
    {"DELETE FROM abroad WHERE a = 1", kUnbatched},
    {"DELETE FROM adults WHERE age = 1", kUnbatched},
    {"UPDATE users SET age = total FROM orders WHERE email = 'x'", kFew},
    {"UPDATE users SET age = total FROM orders WHERE item_id = 1", kUnbatched},
    {"INSERT INTO lookup SELECT id FROM visits WHERE shop = 1 AND day = '2024-01-01'", kFew},
    {"INSERT INTO lookup SELECT id FROM visits WHERE shop = 1", kInsert},
    {"INSERT INTO lookup SELECT id FROM lookup UNION ALL SELECT id FROM users", kInsert},
    {"INSERT INTO users SELECT id FROM lookup, generate_series(1, 3)", kFew},
};
class KeyedRowsTest : public testing::TestWithParam<Case> {};
TEST_P(KeyedRowsTest, AreNamedByAUniqueKey) {
  static const auto catalog = catalog_with_visits();
  EXPECT_EQ(rows_of(GetParam().sql, &catalog), GetParam().rows);
}
INSTANTIATE_TEST_SUITE_P(Rows, KeyedRowsTest, testing::ValuesIn(kWithCatalog));

// Only what a cast leaves of the column's type finds its row by the index.
TEST(KeyedRowsTest, AreFoundByItsIndex) {
  const auto catalog = catalog_with_visits();
  const auto scans = [&](std::string_view sql) { return classify(sql, &catalog)->front().touches.front().scans; };
  EXPECT_EQ(scans("DELETE FROM users WHERE email = 'x'"), core::Answer::no);
  EXPECT_EQ(scans("DELETE FROM users WHERE email = 'x'::citext"), core::Answer::maybe);
  EXPECT_EQ(scans("DELETE FROM users WHERE id = 7.5"), core::Answer::maybe);
  EXPECT_EQ(scans("DELETE FROM users WHERE age = 7"), core::Answer::maybe);
  EXPECT_EQ(scans("DELETE FROM visits WHERE shop = 1 AND day = '2024-01-01'"), core::Answer::no);
}

}  // namespace
}  // namespace diastole::sql
