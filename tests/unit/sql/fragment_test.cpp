#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/sql/analysis.hpp"
#include "parse.hpp"

namespace diastole::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const Result<void>& result) {
  return result ? "accepted" : result.error().message;
}

TEST(ExpressionTest, AcceptsExpressions) {
  for (const auto* text :
       {"name", "lower(name) || '!'", "display_name IS NULL", "(SELECT max(x) FROM t)", "CASE WHEN a THEN 1 END",
        "a /* why */ + 1", "a > 1 AND b = ANY (ARRAY[1, 2])", "ROW(1, 2)", "'; DROP TABLE x --'"}) {
    EXPECT_EQ(refusal(check_expression(text)), "accepted") << text;
  }
}

// Each of these would reach out of the place it is put into.
TEST(ExpressionTest, RefusesWhatIsMore) {
  for (const auto* text : {"", "a, b", "a AS b", "1 FROM t", "1; DROP TABLE t", "1); DROP TABLE t; SELECT (1",
                           "1) + (2", "a -- x", "a;", "*", "t.*", "$1", "a WHERE true", "/* open", "a ORDER BY 1",
                           "DISTINCT a", "1 UNION SELECT 2", "1) FROM x WHERE (true"}) {
    EXPECT_NE(refusal(check_expression(text)), "accepted") << text;
  }
}

TEST(ExpressionTest, PlaceIsInTheExpression) {
  EXPECT_THAT(refusal(check_expression("a +\n  )")), HasSubstr("line 2, column 3: syntax error"));
}

TEST(QueryTest, AcceptsOneSelect) {
  for (const auto* text :
       {"SELECT id FROM t WHERE x IS NULL", "WITH a AS (SELECT 1) SELECT * FROM a", "TABLE t", "VALUES (1)"}) {
    EXPECT_EQ(refusal(check_query(text)), "accepted") << text;
  }
}

TEST(QueryTest, RefusesAnythingElse) {
  for (const auto* text : {"", "SELECT 1; SELECT 2", "SELECT 1;", "SELECT 1 -- x", "DELETE FROM t", "SELECT 1 INTO t",
                           "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "SELECT * FROM t FOR UPDATE",
                           "SELECT $1", "SELECT 1) q; DROP TABLE t; SELECT FROM (SELECT 1"}) {
    EXPECT_NE(refusal(check_query(text)), "accepted") << text;
  }
}

TEST(IdentifierTest, SplitsAndQuotesAnew) {
  EXPECT_THAT(*split_identifier("users", 2), ElementsAre("users"));
  EXPECT_THAT(*split_identifier("App.Users", 2), ElementsAre("app", "users"));
  EXPECT_THAT(*split_identifier("app.\"Order\".id", 3), ElementsAre("app", "\"Order\"", "id"));
  EXPECT_THAT(*split_identifier("\"a.b\".\"c\"\"d\"", 2), ElementsAre("\"a.b\"", "\"c\"\"d\""));
  EXPECT_THAT(*split_identifier("order", 1), ElementsAre("\"order\""));
  EXPECT_THAT(*split_identifier("größe", 1), ElementsAre("\"größe\""));
}

TEST(IdentifierTest, RefusesWhatIsNone) {
  for (const auto* text :
       {"", ".", "a.", ".a", "a b", "a;b", "a--b", "1a", "\"", "\"\"", "\"a", "a\"b\"", "a.b.c", "$a"}) {
    EXPECT_FALSE(split_identifier(text, 2)) << text;
  }
  EXPECT_TRUE(split_identifier(std::string(63, 'a'), 1));
  EXPECT_FALSE(split_identifier(std::string(64, 'a'), 1));
}

TEST(IdentifierTest, QuotesWhereItMust) {
  EXPECT_EQ(quote_identifier("users_2"), "users_2");
  EXPECT_EQ(quote_identifier("name"), "name");  // a keyword, but unreserved
  EXPECT_EQ(quote_identifier("user"), "\"user\"");
  EXPECT_EQ(quote_identifier("Users"), "\"Users\"");
  EXPECT_EQ(quote_identifier("2nd"), "\"2nd\"");
  EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quote_identifier(""), "\"\"");
}

// The grammar knows best: a relation's name may be an unreserved or a column-name keyword, a function's an unreserved
// or a function-name keyword, so that a word both take needs no quotes.
TEST(IdentifierTest, KeywordsAreTheParsers) {
  for (const std::string word : {"select", "table",    "between",  "int",    "left",      "like", "concurrently",
                                 "user",   "coalesce", "xmltable", "window", "abort",     "name", "value",
                                 "type",   "key",      "zone",     "over",   "partition", "role", "data"}) {
    const bool plain = parse("DROP TABLE " + word + "; ALTER FUNCTION " + word + "() STABLE").has_value();
    EXPECT_EQ(quote_identifier(word) == word, plain) << word;
  }
}

}  // namespace
}  // namespace diastole::sql
