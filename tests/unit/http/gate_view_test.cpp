// A gate as clients read it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api_views.hpp"
#include "support/sample_plan.hpp"

namespace diastole::http {
namespace {

using nlohmann::json;

json view(const std::shared_ptr<const core::StatementAdvice>& advice) {
  core::PlanState state;
  state.plan = test::sample_plan();
  state.steps.resize(state.plan.steps.size());
  engine::Gates gates;
  gates.advice = advice;
  return gate_view(state, gates, {});
}

TEST(GateViewTest, BeforeTheFirstLookThereIsNoAdvice) {
  EXPECT_FALSE(view(nullptr).contains("advice"));
}

TEST(GateViewTest, AdviceNamesTwentyQueriesAndCountsTheRest) {
  core::StatementAdvice advice;
  advice.missing = "replica 1: away";
  core::AdvisedStatement statement;
  statement.server = "primary";
  statement.statement = {
      .query_id = -6'123'456'789'012'345'678, .role = "api", .query = "SELECT a FROM users", .calls = 9};
  statement.use = {.uses = {"users.a"}, .sure = true};
  advice.statements.assign(23, statement);
  advice.statements.front().last_grew = WallTime{};
  const auto out = view(std::make_shared<const core::StatementAdvice>(advice));
  ASSERT_EQ(out.at("advice").size(), 20U);
  EXPECT_EQ(out.at("advice_more"), 3);
  EXPECT_EQ(out.at("advice_missing"), "replica 1: away");
  EXPECT_EQ(out.at("advice").at(0), json::parse(R"({
    "query": "SELECT a FROM users", "queryid": "-6123456789012345678", "role": "api", "server": "primary",
    "uses": ["users.a"], "sure": true, "calls": 9, "first_seen": "1970-01-01T00:00:00.000Z",
    "last_grew": "1970-01-01T00:00:00.000Z"})"));
  EXPECT_TRUE(out.at("advice").at(1).at("last_grew").is_null());
}

}  // namespace
}  // namespace diastole::http
