#include "sql_error.hpp"

#include <gtest/gtest.h>

#include <string>

namespace diastole::postgres {
namespace {

// In the form of libpq 15; tests/integration/target.cpp has positions as a server and libpq really give them.
TEST(SqlErrorTest, TakesMessagePositionDetailAndHintApart) {
  const auto failure = parse_server_message(
      "ERROR:  column \"nme\" does not exist\n"
      "LINE 2:   nme FROM users\n"
      "          ^\n"
      "DETAIL:  first\nsecond\n"
      "HINT:  Perhaps you meant to reference the column \"users.name\".\n",
      "SELECT\n\tnme FROM users");
  EXPECT_EQ(failure.message, "column \"nme\" does not exist");
  EXPECT_EQ(failure.detail, "first\nsecond");
  EXPECT_EQ(failure.hint, "Perhaps you meant to reference the column \"users.name\".");
  EXPECT_EQ(failure.line, 2);
}

TEST(SqlErrorTest, ColumnCountsCharactersOfTheStatementsLine) {
  const auto failure =
      parse_server_message("ERROR:  column \"nme\" does not exist\nLINE 1: SELECT nme FROM users\n               ^\n",
                           "SELECT nme FROM users");
  EXPECT_EQ(failure.line, 1);
  EXPECT_EQ(failure.column, 8);
}

TEST(SqlErrorTest, ATabIsOneColumn) {
  const auto failure = parse_server_message(
      "ERROR:  column \"nme\" does not exist\nLINE 2:  nme FROM users\n         ^\n", "SELECT\r\n\tnme FROM users");
  EXPECT_EQ(failure.line, 2);
  EXPECT_EQ(failure.column, 2);
}

TEST(SqlErrorTest, WideCharactersTakeTwoScreenColumnsButCountOnce) {
  const auto failure = parse_server_message(
      "ERROR:  column \"nme\" does not exist\nLINE 1: SELECT '日本', nme FROM users\n                       ^\n",
      "SELECT '日本', nme FROM users");
  EXPECT_EQ(failure.column, 14);
}

TEST(SqlErrorTest, AnExcerptCutOnBothSidesIsFoundInItsLine) {
  const std::string before = "SELECT first_column, second_column, third_column, fourth_column, ";
  const std::string statement = before + "nme, fifth_column, sixth_column, seventh_column, eighth_column FROM users";
  const auto failure = parse_server_message(
      "ERROR:  column \"nme\" does not exist\n"
      "LINE 1: ...olumn, second_column, third_column, fourth_column, nme, fifth_c...\n"
      "                                                              ^\n",
      statement);
  EXPECT_EQ(failure.line, 1);
  EXPECT_EQ(failure.column, static_cast<int>(before.size()) + 1);
}

TEST(SqlErrorTest, AnAmbiguousExcerptGivesTheLineOnly) {
  const auto failure =
      parse_server_message("ERROR:  x\nLINE 1: ...abc abc...\n           ^\n", "abc abc abc abc abc abc");
  EXPECT_EQ(failure.line, 1);
  EXPECT_EQ(failure.column, 0);
}

TEST(SqlErrorTest, APositionInsideAFunctionsQueryIsNotTheStatements) {
  const auto failure = parse_server_message(
      "ERROR:  column \"nope\" does not exist\nLINE 1: SELECT nope\n               ^\nQUERY:  SELECT nope\n"
      "CONTEXT:  PL/pgSQL function f() line 1 at SQL statement\n",
      "SELECT f()");
  EXPECT_EQ(failure.message, "column \"nope\" does not exist");
  EXPECT_EQ(failure.line, 0);
  EXPECT_EQ(failure.column, 0);
}

TEST(SqlErrorTest, AMessageMayHaveLinesAndAForeignSeverity) {
  const auto failure = parse_server_message("FEHLER:  eins\nzwei\nDETAIL:  drei\n", "");
  EXPECT_EQ(failure.message, "eins\nzwei");
  EXPECT_EQ(failure.detail, "drei");
}

TEST(SqlErrorTest, TextThatIsNoServerMessageStaysWhole) {
  EXPECT_EQ(parse_server_message("something else", "SELECT 1").message, "something else");
  EXPECT_EQ(parse_server_message("", "").message, "");
}

}  // namespace
}  // namespace diastole::postgres
