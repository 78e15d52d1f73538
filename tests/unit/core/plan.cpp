#include "diastole/core/plan.hpp"

#include <gtest/gtest.h>

#include "support/sample_plan.hpp"

namespace diastole::core {
namespace {

using test::sample_plan;

void expect_refused(const Plan& plan, const std::string& path, const std::string& about) {
  const auto valid = validate(plan);
  ASSERT_FALSE(valid.has_value()) << path;
  EXPECT_EQ(valid.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(valid.error().path, path);
  EXPECT_TRUE(valid.error().message.contains(about)) << valid.error().message;
}

TEST(PlanTest, TheSampleIsValid) {
  EXPECT_TRUE(validate(sample_plan()).has_value());
}

TEST(PlanTest, NoStep) {
  auto plan = sample_plan();
  plan.steps.clear();
  expect_refused(plan, "", "no step");
}

TEST(PlanTest, StepIdsAreUniqueOverPhases) {
  auto plan = sample_plan();
  plan.steps[test::kDrop].id = plan.steps[test::kColumn].id;
  expect_refused(plan, "/contract/0/id", "'column'");
}

TEST(PlanTest, AStepHoldsAStatement) {
  auto plan = sample_plan();
  plan.steps[test::kColumn].statements.clear();
  expect_refused(plan, "/expand/0/sql", "no statement");
}

TEST(PlanTest, AStatementOutsideATransactionIsAlone) {
  auto plan = sample_plan();
  plan.steps[test::kIndex].statements.push_back(plan.steps[test::kColumn].statements[0]);
  expect_refused(plan, "/expand/0/sql", "alone in its step");
  plan = sample_plan();
  plan.steps[test::kIndex].undo.push_back(plan.steps[test::kColumn].undo[0]);
  expect_refused(plan, "/expand/0/undo", "alone in its step");
}

TEST(PlanTest, ContractNeedsAFleet) {
  auto plan = sample_plan();
  plan.gate.fleet.clear();
  plan.steps[test::kCopy].backfill->needs.clear();
  expect_refused(plan, "/fleet", "every service");
  plan.steps.resize(test::kCheck);
  EXPECT_TRUE(validate(plan).has_value());
}

TEST(PlanTest, AServiceIsDeclaredOnce) {
  auto plan = sample_plan();
  plan.gate.fleet.push_back(plan.gate.fleet[0]);
  expect_refused(plan, "/fleet/1/service", "'api'");
}

TEST(PlanTest, AnEmptyFleetPassesOnlyWithAReason) {
  auto plan = sample_plan();
  plan.gate.fleet[0].min_instances = 0;
  expect_refused(plan, "/fleet/0/min_instances", "reason");
  plan.gate.fleet[0].reason = "scaled to zero at night";
  EXPECT_TRUE(validate(plan).has_value());
}

TEST(PlanTest, NeedsNameDeclaredServices) {
  auto plan = sample_plan();
  plan.steps[test::kCopy].backfill->needs = {test::requirement("worker", ">=1.0.0")};
  expect_refused(plan, "/backfill/0/needs/worker", "'worker'");
}

TEST(PlanTest, AStepIsWhatItsStatementsAre) {
  const auto plan = sample_plan();
  EXPECT_TRUE(plan.steps[test::kColumn].transactional());
  EXPECT_FALSE(plan.steps[test::kIndex].transactional());
  EXPECT_TRUE(plan.steps[test::kDrop].destructive());
  EXPECT_FALSE(plan.steps[test::kCheck].destructive());
  EXPECT_EQ(plan.steps[test::kDrop].lock(), LockMode::access_exclusive);
  EXPECT_EQ(plan.steps[test::kCopy].lock(), LockMode::row_exclusive);
  EXPECT_EQ(plan.index_of(StepId("drop")), test::kDrop);
  EXPECT_EQ(plan.find(StepId("nothing")), nullptr);
}

}  // namespace
}  // namespace diastole::core
