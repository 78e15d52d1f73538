// The gate's question, what a query is unsure of, and queries that are long or deep.
#include <gmock/gmock.h>

#include <chrono>

#include "column_use_test.hpp"
#include "query_walk.hpp"

namespace diastole::sql::column_use_test {
namespace {

using core::Answer;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ColumnUseAnswerTest : public ::testing::Test {
 protected:
  [[nodiscard]] QueryUse find(std::string_view sql) const {
    auto use = finder_.find(sql);
    EXPECT_TRUE(use.has_value()) << sql.substr(0, 80);
    return use.value_or(QueryUse{});
  }
  [[nodiscard]] Answer uses(std::string_view sql, const core::RelationName& table, std::string_view column) const {
    return finder_.uses(find(sql), table, column);
  }
  [[nodiscard]] Answer uses(std::string_view sql, const core::RelationName& table) const {
    return finder_.uses(find(sql), table);
  }

  const core::CatalogSnapshot catalog_ = schema();
  const UseFinder finder_{catalog_};
  const core::RelationName teams_{"app", "teams"};
  const core::RelationName users_{"app", "users"};
};

TEST_F(ColumnUseAnswerTest, OfColumns) {
  EXPECT_EQ(uses("SELECT title FROM teams", teams_, "title"), Answer::yes);
  EXPECT_EQ(uses("SELECT title FROM teams", teams_, "boss"), Answer::no);
  EXPECT_EQ(uses("SELECT title FROM teams", {"", "teams"}, "title"), Answer::yes);
  EXPECT_EQ(uses("SELECT title FROM teams", {"public", "teams"}, "title"), Answer::no);
  EXPECT_EQ(uses("UPDATE teams SET title = ''", teams_, "title"), Answer::yes);
  EXPECT_EQ(uses("SELECT id FROM teams, users", teams_, "id"), Answer::maybe);
  EXPECT_EQ(uses("SELECT mail(1)", users_, "email"), Answer::maybe);
  EXPECT_EQ(uses("SELECT mail(1)", users_, "name"), Answer::no);
  EXPECT_EQ(uses("SELECT mail(1)", teams_, "title"), Answer::no);
  EXPECT_EQ(uses("SELECT nope(1)", teams_, "title"), Answer::maybe);
  EXPECT_EQ(uses("SELECT nope(1), title FROM teams", teams_, "title"), Answer::yes);
}

TEST_F(ColumnUseAnswerTest, OfColumnsThatCannotBeTold) {
  EXPECT_EQ(uses("SELECT boos FROM teams", teams_, "boos"), Answer::maybe);
  EXPECT_EQ(uses("SELECT boss FROM orders", teams_, "boss"), Answer::maybe);
  EXPECT_EQ(uses("SELECT title FROM orders", teams_, "boss"), Answer::no);
  // The snapshot is older than the column.
  EXPECT_EQ(uses("SELECT * FROM teams", teams_, "newer"), Answer::maybe);
  EXPECT_EQ(uses("SELECT * FROM orders", teams_, "newer"), Answer::no);
}

TEST_F(ColumnUseAnswerTest, OfTablesTheSnapshotDoesNotHave) {
  EXPECT_EQ(uses("SELECT x FROM missing", {"app", "missing"}, "x"), Answer::maybe);
  EXPECT_EQ(uses("SELECT x FROM app.missing", {"app", "missing"}, "x"), Answer::yes);
  EXPECT_EQ(uses("SELECT x FROM app.missing", {"app", "missing"}, "y"), Answer::no);
  EXPECT_EQ(uses("SELECT * FROM app.missing", {"app", "missing"}, "y"), Answer::yes);
  EXPECT_EQ(uses("SELECT x FROM app.missing", {"other", "missing"}, "x"), Answer::no);
  // Off the search_path, but another session's may reach it.
  EXPECT_EQ(uses("SELECT secret FROM hidden", {"other", "hidden"}, "secret"), Answer::maybe);
}

TEST_F(ColumnUseAnswerTest, OfTables) {
  EXPECT_EQ(uses("SELECT 1 FROM teams", teams_), Answer::yes);
  EXPECT_EQ(uses("SELECT 1 FROM teams", users_), Answer::no);
  EXPECT_EQ(uses("TRUNCATE teams", teams_), Answer::yes);
  EXPECT_EQ(uses("SELECT name FROM top", users_), Answer::yes);
  EXPECT_EQ(uses("SELECT mail(1)", users_), Answer::maybe);
  EXPECT_EQ(uses("SELECT pg_relation_size('teams')", teams_), Answer::maybe);
  EXPECT_EQ(uses("SELECT pg_relation_size($1)", teams_), Answer::maybe);
  EXPECT_EQ(uses("SELECT pg_relation_size($1)", teams_, "id"), Answer::no);
  EXPECT_EQ(uses("SELECT 'teams'::regclass", teams_), Answer::maybe);
  EXPECT_EQ(uses("SELECT 'teams'::text", teams_), Answer::no);
  EXPECT_EQ(uses("EXECUTE p", teams_), Answer::maybe);
  EXPECT_EQ(uses("COMMIT", teams_), Answer::no);
}

TEST_F(ColumnUseAnswerTest, PartitionsShareColumns) {
  const core::RelationName events{"app", "events"};
  const core::RelationName part{"app", "events_1"};
  EXPECT_EQ(uses("SELECT kind FROM events_1", events, "kind"), Answer::yes);
  EXPECT_EQ(uses("SELECT kind FROM events", part, "kind"), Answer::yes);
  EXPECT_EQ(uses("SELECT kind FROM events", part, "id"), Answer::no);
  EXPECT_EQ(uses("SELECT kind FROM events", part), Answer::yes);
  EXPECT_EQ(uses("SELECT boss FROM teams", part), Answer::no);
}

TEST_F(ColumnUseAnswerTest, RowsReadAndWritten) {
  const QueryUse use = find("INSERT INTO teams (id) SELECT id FROM users");
  ASSERT_EQ(use.tables.size(), 2U);
  EXPECT_EQ(use.tables[0], (TableUse{teams_, Answer::yes, Answer::no, Answer::yes}));
  EXPECT_EQ(use.tables[1], (TableUse{users_, Answer::yes, Answer::yes, Answer::no}));
  const QueryUse upsert = find("INSERT INTO teams (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = ''");
  EXPECT_EQ(upsert.tables[0], (TableUse{teams_, Answer::yes, Answer::yes, Answer::yes}));
  const QueryUse view = find("DELETE FROM active");
  ASSERT_EQ(view.tables.size(), 2U);
  EXPECT_EQ(view.tables[1], (TableUse{users_, Answer::yes, Answer::yes, Answer::maybe}));
}

TEST_F(ColumnUseAnswerTest, UnsureSaysWhy) {
  EXPECT_THAT(find("SELECT title FROM teams").unsure, IsEmpty());
  EXPECT_THAT(find("SELECT mail(1)").unsure, Contains(HasSubstr("mail")));
  EXPECT_THAT(find("SELECT app.nope(1)").unsure, Contains(HasSubstr("app.nope")));
  EXPECT_THAT(find("SELECT boos FROM teams").unsure, Contains(HasSubstr("boos")));
  EXPECT_THAT(find("SELECT id FROM blind").unsure, Contains(HasSubstr("app.blind")));
  EXPECT_THAT(find("DO 'BEGIN END'").unsure, Contains("Do is not analysed"));
}

// Nothing that libpg_query 15 makes of an expression is unknown today.
TEST_F(ColumnUseAnswerTest, UnknownPartsAreMaybeEverything) {
  const auto walked = [&](std::string_view where) {
    const UseIndex index(catalog_);
    UseRecord record(index);
    simdjson::dom::parser parser;
    const std::string tree = fmt::format(R"({{"fromClause":[{{"RangeVar":{{"relname":"teams"}}}}{}}})", where);
    QueryWalk(record).statement("SelectStmt", Node(parser.parse(tree).value()));
    return record.take();
  };
  constexpr std::string_view column = R"({"ColumnRef":{"fields":[{"String":{"sval":"boss"}}]}})";
  const QueryUse known = walked(fmt::format(R"(],"whereClause":{{"CoalesceExpr":{{"args":[{}]}}}})", column));
  EXPECT_FALSE(known.any_column);
  EXPECT_EQ(finder_.uses(known, teams_, "boss"), Answer::yes);
  const QueryUse unknown = walked(fmt::format(R"(],"whereClause":{{"NewExpr":{{"args":[{}]}}}})", column));
  EXPECT_TRUE(unknown.any_column);
  EXPECT_THAT(unknown.unsure, Contains("NewExpr is not known"));
  EXPECT_EQ(finder_.uses(unknown, teams_, "boss"), Answer::yes);
  EXPECT_EQ(finder_.uses(unknown, users_, "name"), Answer::maybe);
  EXPECT_TRUE(walked(R"(,{"RangeNew":{}}])").any_column);
  EXPECT_TRUE(walked(R"(],"whereClause":{"SubLink":{"subselect":{"NewStmt":{}}}})").any_column);
}

std::string repeated(std::string_view first, std::string_view part, int times, std::string_view last = {}) {
  std::string text(first);
  for (int i = 0; i < times; ++i) text += part;
  return text + std::string(last);
}

TEST_F(ColumnUseAnswerTest, LongChainsAreReadInFull) {
  for (const std::string& sql :
       {repeated("SELECT 1 FROM teams WHERE id = 1", " AND id = 1", 20000, " AND boss = ''"),
        repeated("SELECT boss || 1", " || 1", 20000, " FROM teams"),
        repeated("SELECT id FROM teams", " UNION ALL SELECT id FROM teams", 3000, " UNION ALL SELECT boss FROM teams"),
        repeated("SELECT 1 FROM teams WHERE ", "NOT (", 2000, "boss" + std::string(2000, ')')),
        repeated("SELECT boss FROM teams, unnest(", "ARRAY[", 1000, "1" + std::string(1000, ']') + ")"),
        repeated("SELECT ", "(", 2000, "boss" + std::string(2000, ')') + " FROM teams"),
        repeated("SELECT lower(", "lower(", 2000, "boss" + std::string(2001, ')') + " FROM teams"),
        repeated("SELECT boss", "::text", 5000, " FROM teams"),
        repeated("SELECT boss FROM teams", " JOIN users ON true", 300)}) {
    const QueryUse use = find(sql);
    EXPECT_EQ(finder_.uses(use, teams_, "boss"), Answer::yes) << sql.substr(0, 60);
    EXPECT_EQ(finder_.uses(use, teams_, "title"), Answer::no) << sql.substr(0, 60);
  }
}

TEST_F(ColumnUseAnswerTest, WhatIsTooDeepIsMaybe) {
  for (const int depth : {100, 600}) {
    const Answer expected = depth == 100 ? Answer::no : Answer::maybe;
    EXPECT_EQ(uses(repeated("", "SELECT (", depth, "SELECT 1" + std::string(static_cast<std::size_t>(depth), ')')),
                   teams_, "boss"),
              expected);
    std::string nested = "SELECT 1";
    for (int i = 0; i < depth; ++i) nested.insert(0, "SELECT 1 FROM (").append(") s");
    EXPECT_EQ(uses(nested, teams_, "boss"), expected);
  }
  EXPECT_EQ(uses(repeated("SELECT 1 FROM teams", ", teams", 600), teams_, "boss"), Answer::maybe);
  EXPECT_THAT(find(repeated("", "SELECT (", 600, "SELECT 1" + std::string(600, ')'))).unsure,
              Contains("nested too deeply"));
}

}  // namespace
}  // namespace diastole::sql::column_use_test
