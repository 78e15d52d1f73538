// A backfill's own statement: where its parameters stand, and what it may be.
#include "window.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/sql/analysis.hpp"

namespace diastole::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(std::string_view sql) {
  const auto pieces = cut_window(sql);
  return pieces ? "accepted" : pieces.error().message;
}

TEST(WindowTest, ParametersArePiecesOfTheirOwn) {
  EXPECT_THAT(*cut_window("UPDATE t SET a = 1 WHERE id BETWEEN :from AND :to"),
              ElementsAre("UPDATE t SET a = 1 WHERE id BETWEEN ", ":from", " AND ", ":to"));
  EXPECT_THAT(*cut_window("DELETE FROM t WHERE id>=:from::bigint AND id<=:to -- the end"),
              ElementsAre("DELETE FROM t WHERE id>=", ":from", "::bigint AND id<=", ":to", " -- the end"));
}

TEST(WindowTest, WhatOnlyLooksLikeOneStays) {
  constexpr std::string_view kSql =
      "UPDATE t SET a = ':from', \":to\" = $x$ :to $x$, c = E'\\':from', d = '1'::\"to\" -- :from\n"
      "/* :to */ WHERE id BETWEEN :from AND :to";
  const auto pieces = cut_window(kSql);
  ASSERT_TRUE(pieces) << pieces.error().message;
  ASSERT_EQ(pieces->size(), 4U);
  EXPECT_TRUE(pieces->front().ends_with("/* :to */ WHERE id BETWEEN "));
  std::string together;
  for (const auto& piece : *pieces) together += piece;
  EXPECT_EQ(together, kSql);
  EXPECT_EQ(plain_window(*pieces).size(), kSql.size());
}

TEST(WindowTest, AcceptsWhatWritesRows) {
  for (const auto* sql :
       {"INSERT INTO totals SELECT c, sum(x) FROM orders WHERE id BETWEEN :from AND :to GROUP BY c ON CONFLICT (c) DO "
        "UPDATE SET s = totals.s + excluded.s;",
        "WITH old AS (SELECT id FROM t WHERE id BETWEEN :from AND :to) DELETE FROM u USING old WHERE u.id = old.id",
        "MERGE INTO u USING (SELECT * FROM t WHERE id BETWEEN :from AND :to) t ON t.id = u.id WHEN MATCHED THEN "
        "DELETE"})
    EXPECT_EQ(refusal(sql), "accepted") << sql;
}

TEST(WindowTest, RefusesTheRestWithItsPlace) {
  EXPECT_THAT(refusal("UPDATE t SET a = 1"), HasSubstr(":from is missing"));
  EXPECT_THAT(refusal("UPDATE t SET a = 1 WHERE id >= :from"), HasSubstr(":to is missing"));
  EXPECT_THAT(refusal("UPDATE t SET a = 1 WHERE id BETWEEN :from AND ':to'"), HasSubstr(":to is missing"));
  EXPECT_THAT(refusal("UPDATE t SET a = 1 WHERE id BETWEEN :from AND :to;\n DROP TABLE t"),
              HasSubstr("line 2, column 2: one statement is expected"));
  EXPECT_THAT(refusal("\nALTER TABLE t ADD a int DEFAULT 0"), HasSubstr("line 2, column 1: INSERT, UPDATE"));
  EXPECT_THAT(refusal("SELECT f(:from, :to)"), HasSubstr("line 1, column 1: INSERT, UPDATE"));
  EXPECT_THAT(refusal("UPDATE t SET a = $3 WHERE id BETWEEN :from AND :to"), HasSubstr("parameters such as $1"));
  EXPECT_THAT(refusal("UPDATE t SET a =\n 1 WHERE id BETWEN :from AND :to"), HasSubstr("line 2, column 13: syntax"));
  EXPECT_THAT(refusal("UPDATE t SET a = 1 WHERE id BETWEEN :from AND :to AND b = :too"), HasSubstr("column 59"));
  EXPECT_THAT(refusal(""), HasSubstr("no statement"));
}

}  // namespace
}  // namespace diastole::sql
