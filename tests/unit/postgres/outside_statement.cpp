#include "outside_statement.hpp"

#include <gtest/gtest.h>

namespace diastole::postgres {
namespace {

TEST(OutsideStatementTest, FindsTableAndDefinitionPastCommentsAndQuotes) {
  const auto statement = read_outside_statement(
      "/* a /* nested */ one */ create UNIQUE index -- here\n concurrently if not exists \"On \"\"it\" on only app . "
      "\"Some Table\" "
      "USING btree (lower(name)) WHERE id > 1 ; ");
  EXPECT_EQ(statement.kind, OutsideKind::create_index);
  EXPECT_TRUE(statement.unique);
  EXPECT_EQ(statement.table, "app.\"Some Table\"");
  EXPECT_EQ(statement.definition, " USING btree (lower(name)) WHERE id > 1");
}

TEST(OutsideStatementTest, AnIndexMayHaveNoName) {
  const auto statement = read_outside_statement("CREATE INDEX CONCURRENTLY ON users(name)");
  EXPECT_EQ(statement.kind, OutsideKind::create_index);
  EXPECT_FALSE(statement.unique);
  EXPECT_EQ(statement.table, "users");
  EXPECT_EQ(statement.definition, "(name)");
}

TEST(OutsideStatementTest, KnowsWhatMayRunAgain) {
  EXPECT_EQ(read_outside_statement("DROP INDEX CONCURRENTLY IF EXISTS a").kind, OutsideKind::drop_index);
  EXPECT_EQ(read_outside_statement("reindex table concurrently users").kind, OutsideKind::repeatable);
  EXPECT_EQ(read_outside_statement("VACUUM users").kind, OutsideKind::repeatable);
  for (const auto* sql :
       {"", "CREATE DATABASE x", "DROP DATABASE x", "DROP INDEX a", "CREATE INDEX a ON b (c)",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY", "CREATE INDEX CONCURRENTLY", "/* unfinished"}) {
    EXPECT_EQ(read_outside_statement(sql).kind, OutsideKind::other) << sql;
  }
}

}  // namespace
}  // namespace diastole::postgres
