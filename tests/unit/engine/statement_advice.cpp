// Which queries still use what contract drops, as the engine looks at it while a plan waits.
#include "reconciler_fixture.hpp"
#include "support/catalog.hpp"

namespace diastole::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

core::ServerStatements counted(std::int64_t calls, std::string query = "SELECT a FROM users WHERE id = $1") {
  core::ServerStatements out;
  out.server = "primary";
  out.started_us = 1;
  out.statements = {{.query_id = 7, .role = "api", .query = std::move(query), .calls = calls}};
  out.paths = {{.role = "api", .schemas = {"public"}}};
  return out;
}

class StatementAdviceTest : public ReconcilerTest {
 protected:
  static constexpr Milliseconds kMinute = 60 * kSecond;

  StatementAdviceTest() {
    core::CatalogSnapshot catalog;
    catalog.search_path = {"pg_catalog", "public"};
    auto users = test::catalog_table("users", 100);
    users.columns.push_back(test::catalog_column("a", "text"));
    users.columns.push_back(test::catalog_column("b", "text"));
    catalog.relations = {users};
    target_.set_catalog(catalog);
  }
  // The result of the look after those there have been.
  std::shared_ptr<const core::StatementAdvice> next_advice(const std::shared_ptr<const core::StatementAdvice>& last) {
    std::shared_ptr<const core::StatementAdvice> advice;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{15};
    do {
      reconciler_->wake();
      std::this_thread::yield();
      advice = reconciler_->gates(state()).advice;
    } while ((advice == nullptr || advice == last) && std::chrono::steady_clock::now() < deadline);
    EXPECT_NE(advice, last) << log_.lines();
    return advice;
  }
};

TEST_F(StatementAdviceTest, NamesTheQueryAndWhenItGrewLast) {
  target_.set_statements({counted(10)});
  reach_backfilled();
  const auto first = next_advice(nullptr);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->statements.size(), 1U);
  EXPECT_THAT(first->statements[0].use.uses, ElementsAre("users.a"));
  EXPECT_TRUE(first->statements[0].use.sure);
  EXPECT_FALSE(first->statements[0].last_grew);
  EXPECT_THAT(target_.last_words(), ElementsAre("users"));
  EXPECT_TRUE(target_.last_catalog_request().all_functions);

  target_.set_statements({counted(12)});
  advance(kMinute);
  const auto second = next_advice(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->statements[0].last_grew, clock_.now().wall);
  EXPECT_EQ(second->grown_since(clock_.now().wall - std::chrono::minutes{10}), 1);
  EXPECT_EQ(target_.calls("statements"), 2) << "a minute apart";
}

TEST_F(StatementAdviceTest, LooksOnlyOnceAMinuteAndAtTheGate) {
  target_.hold("batch copy");
  start();
  submit();
  await(core::Stage::backfilling);
  pass(2 * kMinute);
  EXPECT_EQ(target_.calls("statements"), 0) << "the backfill runs, so that nothing is to be dropped yet";
  target_.release("batch copy");
  await(core::Stage::backfilled);
  next_advice(nullptr);
  advance(kMinute - Milliseconds{1});
  round();
  EXPECT_EQ(target_.calls("statements"), 1);
}

TEST_F(StatementAdviceTest, AdviceNeverOpensNorClosesTheGate) {
  target_.set_statements({counted(10)});
  reach_backfilled();
  next_advice(nullptr);
  ask(core::Approve{core::Phase::contract, "bob", "", false});
  await(core::Stage::completed);
}

TEST_F(StatementAdviceTest, AQueryThatUsesNothingOfItIsNotListed) {
  target_.set_statements({counted(10, "SELECT b FROM users")});
  reach_backfilled();
  const auto advice = next_advice(nullptr);
  ASSERT_TRUE(advice);
  EXPECT_THAT(advice->statements, IsEmpty());
}

TEST_F(StatementAdviceTest, WhatIsMissingIsSaid) {
  core::ServerStatements none;
  none.server = "primary";
  none.missing = "pg_stat_statements is not installed in this database";
  target_.set_statements({none});
  reach_backfilled();
  auto advice = next_advice(nullptr);
  ASSERT_TRUE(advice);
  EXPECT_EQ(advice->missing, none.missing);

  target_.fail_next("statements", ErrorCode::unavailable);
  advance(kMinute);
  advice = next_advice(advice);
  EXPECT_EQ(advice->missing, "scripted unavailable");
}

TEST_F(StatementAdviceTest, WithoutACatalogItIsReadAgainTheNextMinute) {
  target_.set_statements({counted(10)});
  target_.fail_next("catalog", ErrorCode::unavailable);
  reach_backfilled();
  auto advice = next_advice(nullptr);
  ASSERT_TRUE(advice);
  EXPECT_EQ(advice->missing, "the target's catalog cannot be read: scripted unavailable");
  advance(kMinute);
  advice = next_advice(advice);
  EXPECT_EQ(advice->missing, "");
  EXPECT_EQ(advice->statements.size(), 1U);
  EXPECT_EQ(target_.calls("catalog"), 2);
  advance(kMinute);
  next_advice(advice);
  EXPECT_EQ(target_.calls("catalog"), 2) << "it is young enough";
}

TEST_F(StatementAdviceTest, WhatHasAnotherNameIsNotLookedFor) {
  target_.set_catalog({});
  reach_backfilled();
  const auto advice = next_advice(nullptr);
  ASSERT_TRUE(advice);
  EXPECT_EQ(advice->missing, "what contract drops is not there under its name");
  EXPECT_EQ(target_.calls("statements"), 0);
}

}  // namespace
}  // namespace diastole::engine
