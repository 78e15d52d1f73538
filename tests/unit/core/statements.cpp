// What two looks at the counters of queries tell.
#include "diastole/core/statements.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diastole::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr WallTime at(int minute) {
  return WallTime{std::chrono::minutes{minute}};
}

CountedStatement counted(std::int64_t id, std::int64_t calls, std::string query = "SELECT name FROM users") {
  return {.query_id = id, .role = "api", .query = std::move(query), .calls = calls};
}

class StatementMemoryTest : public testing::Test {
 protected:
  StatementMemoryTest() {
    seen_.server = "primary";
    seen_.started_us = 1;
  }
  StatementAdvice look(int minute, std::vector<CountedStatement> statements) {
    seen_.statements = std::move(statements);
    return memory_.look({{&seen_, std::vector(seen_.statements.size(), use_)}}, at(minute));
  }
  // The only one.
  static std::optional<WallTime> grew(const StatementAdvice& advice) {
    EXPECT_EQ(advice.statements.size(), 1U);
    return advice.statements.empty() ? std::nullopt : advice.statements.front().last_grew;
  }

  StatementMemory memory_;
  ServerStatements seen_;
  DoomedUse use_{.uses = {"users.name"}, .sure = true};
};

TEST_F(StatementMemoryTest, FirstSightTellsNothing) {
  const auto advice = look(1, {counted(7, 1'000)});
  ASSERT_EQ(advice.statements.size(), 1U);
  const auto& only = advice.statements.front();
  EXPECT_EQ(only.server, "primary");
  EXPECT_EQ(only.statement, counted(7, 1'000));
  EXPECT_EQ(only.use, use_);
  EXPECT_EQ(only.first_seen, at(1));
  EXPECT_EQ(only.last_grew, std::nullopt);
  EXPECT_EQ(advice.at, at(1));
  EXPECT_EQ(advice.grown_since(WallTime{}), 0);
}

TEST_F(StatementMemoryTest, ItGrowsWhenItsCounterDoes) {
  look(1, {counted(7, 1'000)});
  EXPECT_EQ(grew(look(2, {counted(7, 1'000)})), std::nullopt);
  EXPECT_EQ(grew(look(3, {counted(7, 1'001)})), at(3));
  const auto advice = look(4, {counted(7, 1'001)});
  EXPECT_EQ(grew(advice), at(3));
  EXPECT_EQ(advice.statements.front().first_seen, at(1));
  EXPECT_EQ(advice.grown_since(at(3)), 1);
  EXPECT_EQ(advice.grown_since(at(4)), 0);
}

TEST_F(StatementMemoryTest, ACounterThatFellWasCountedUpAgain) {
  look(1, {counted(7, 1'000)});
  const auto advice = look(2, {counted(7, 3)});
  EXPECT_EQ(grew(advice), at(2));
  EXPECT_EQ(advice.statements.front().statement.calls, 3);
  EXPECT_EQ(grew(look(3, {counted(7, 3)})), at(2));
}

TEST_F(StatementMemoryTest, WhatWasNotThereBeforeHasRun) {
  look(1, {});
  EXPECT_EQ(grew(look(2, {counted(7, 1)})), at(2));
}

TEST_F(StatementMemoryTest, AbsenceFromAnIncompleteLookTellsNothing) {
  seen_.cut = true;
  look(1, {});
  seen_.cut = false;
  EXPECT_EQ(grew(look(2, {counted(7, 1)})), std::nullopt);
}

TEST_F(StatementMemoryTest, AbsenceFromALookForSomethingElseTellsNothing) {
  look(1, {counted(7, 5)});
  memory_.ask_anew();
  const auto advice = look(2, {counted(7, 6), counted(8, 1)});
  ASSERT_EQ(advice.statements.size(), 2U);
  EXPECT_EQ(advice.statements[0].last_grew, at(2)) << "its counter is known all the same";
  EXPECT_EQ(advice.statements[1].last_grew, std::nullopt);
}

TEST_F(StatementMemoryTest, ARestartedServersCountersDoNotCompare) {
  look(1, {counted(7, 1'000)});
  seen_.started_us = 2;
  auto advice = look(2, {counted(7, 2'000), counted(8, 1)});
  ASSERT_EQ(advice.statements.size(), 2U);
  EXPECT_EQ(advice.grown_since(WallTime{}), 0);
  EXPECT_EQ(look(3, {counted(7, 2'001), counted(8, 1)}).grown_since(WallTime{}), 1);
}

TEST_F(StatementMemoryTest, WhatTheServerForgotStaysWithItsGrowth) {
  look(1, {counted(7, 1)});
  look(2, {counted(7, 2)});
  EXPECT_EQ(grew(look(3, {})), at(2));
}

TEST_F(StatementMemoryTest, WhatUsesNothingIsNotListedAnyMore) {
  look(1, {counted(7, 1)});
  use_ = {};
  EXPECT_THAT(look(2, {counted(7, 2)}).statements, IsEmpty());
}

TEST_F(StatementMemoryTest, AServerThatDoesNotAnswerChangesNothing) {
  look(1, {counted(7, 1)});
  seen_.missing = "it did not answer";
  const auto advice = look(2, {});
  EXPECT_EQ(advice.missing, "it did not answer");
  EXPECT_EQ(grew(advice), std::nullopt);
  seen_.missing.clear();
  // The comparison is with the look before.
  const auto after = look(3, {counted(7, 2), counted(8, 1)});
  EXPECT_EQ(after.grown_since(at(3)), 2);
  EXPECT_EQ(after.missing, "");
}

TEST_F(StatementMemoryTest, ServersCountByThemselvesAndSayWhatTheyMiss) {
  auto other = seen_;
  other.server = "replica 1";
  other.missing = "pg_stat_statements is not installed in this database";
  seen_.statements = {counted(7, 1)};
  auto advice = memory_.look({{&seen_, {use_}}, {&other, {}}}, at(1));
  EXPECT_EQ(advice.missing, "replica 1: pg_stat_statements is not installed in this database");
  other.missing.clear();
  other.statements = {counted(7, 50)};
  advice = memory_.look({{&seen_, {use_}}, {&other, {use_}}}, at(2));
  EXPECT_EQ(advice.statements.size(), 2U);
  EXPECT_EQ(advice.grown_since(WallTime{}), 0);
  seen_.missing = other.missing = "away";
  seen_.statements = other.statements = {};
  EXPECT_EQ(memory_.look({{&seen_, {}}, {&other, {}}}, at(3)).missing, "away");
}

TEST_F(StatementMemoryTest, NewestGrowthComesFirst) {
  look(1, {counted(1, 5), counted(2, 9), counted(3, 1), counted(4, 1)});
  look(2, {counted(1, 5), counted(2, 9), counted(3, 2), counted(4, 1)});
  const auto advice = look(3, {counted(1, 5), counted(2, 9), counted(3, 2), counted(4, 2)});
  std::vector<std::int64_t> ids;
  for (const auto& each : advice.statements) ids.push_back(each.statement.query_id);
  EXPECT_THAT(ids, ElementsAre(4, 3, 2, 1));
}

TEST_F(StatementMemoryTest, ALongTextIsCutBetweenCharacters) {
  const auto advice = look(1, {counted(7, 1, std::string(kAdvisedQueryBytes - 1, 'x') + "ä" + std::string(100, 'y'))});
  EXPECT_EQ(advice.statements.front().statement.query, std::string(kAdvisedQueryBytes - 1, 'x') + "…");
}

TEST_F(StatementMemoryTest, TheLongestUnusedAreForgottenFirst) {
  std::vector<CountedStatement> many;
  for (std::size_t i = 0; i < kAdvisedStatements; ++i) many.push_back(counted(static_cast<std::int64_t>(i) + 10, 1));
  look(1, many);
  const auto advice = look(2, {counted(7, 1)});
  EXPECT_EQ(advice.statements.size(), kAdvisedStatements);
  EXPECT_EQ(advice.statements.front().statement.query_id, 7);
  // Those that were forgotten are not new.
  EXPECT_EQ(look(3, many).grown_since(at(3)), 0);
}

}  // namespace
}  // namespace diastole::core
