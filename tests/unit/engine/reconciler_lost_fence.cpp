// What keeps old code out is on the target, where others can undo it: an administrator, or a failover that forgets.
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using core::GateFellBack;
using core::ReasonKind;
using core::Stage;

class LostFenceTest : public ReconcilerTest {
 protected:
  static core::Plan drop_only() {
    auto plan = plan_without_soak();
    std::erase_if(plan.steps, [](const core::Step& step) { return step.id.str() != "drop"; });
    plan.approvals.clear();
    return plan;
  }
};

// The adapter refuses before it has looked at a session.
TEST_F(LostFenceTest, ADropWhoseTargetForgotTheFenceLeadsBack) {
  target_.fail_next("do drop", ErrorCode::interrupted);
  start();
  submit(drop_only());
  pass(40 * kSecond);
  await("a way back", [](const core::PlanState& state) { return state.gate.stage == core::GateStage::restoring; });
  ASSERT_EQ(events<GateFellBack>().size(), 1U);
  EXPECT_TRUE(names(events<GateFellBack>().front().reasons, ReasonKind::gate_restoring));
  EXPECT_TRUE(target_.done().empty());
  pass(20 * kSecond);
  await("a closed gate", [](const core::PlanState& state) { return state.gate.epoch == 2; });
  pass(60 * kSecond);
  await(Stage::completed);
}

// As a tool does that keeps roles as it has them written down.
TEST_F(LostFenceTest, ALoginThatIsGivenBackStopsTheDrop) {
  auto plan = drop_only();
  plan.gate.fleet.front().roles = {{"api_1", core::RoleMapping::Tells::version, "1.0.0"}};
  target_.hold("do drop");
  start();
  submit(plan);
  pass(40 * kSecond);
  await("fallen back", [&](const core::PlanState& state) {
    if (state.step(StepId("drop")).status == core::StepStatus::running) {
      target_.give_login("api_1");
      target_.release("do drop");
    }
    return state.gate.stage == core::GateStage::restoring;
  });
  ASSERT_FALSE(events<GateFellBack>().empty());
  EXPECT_TRUE(names(events<GateFellBack>().front().reasons, ReasonKind::role_can_login));
  EXPECT_TRUE(target_.done().empty());
}

TEST_F(LostFenceTest, AQuarantineThatIsGoneIsNotWaitedFor) {
  auto plan = drop_only();
  plan.gate.quarantine = 3600 * kSecond;
  plan.doomed = {{StepId("drop"), "users", "a"}};
  start();
  submit(plan);
  pass(40 * kSecond);
  await("quarantined", [](const core::PlanState& state) { return state.gate.stage == core::GateStage::quarantined; });
  target_.set_quarantined_for({});
  pass(20 * kSecond);
  await("a way back", [](const core::PlanState& state) {
    return state.gate.stage == core::GateStage::restoring || state.gate.epoch == 2;
  });
  EXPECT_TRUE(names(events<GateFellBack>().front().reasons, ReasonKind::gate_restoring));
}

// Old code is not kept out for as long as a view depends on the column.
TEST_F(LostFenceTest, AQuarantineThatIsRefusedLeadsBack) {
  auto plan = drop_only();
  plan.gate.quarantine = 3600 * kSecond;
  plan.doomed = {{StepId("drop"), "users", "a"}};
  target_.fail_next("quarantine", ErrorCode::conflict);
  start();
  submit(plan);
  pass(40 * kSecond);
  ASSERT_TRUE(target_.await_call("quarantine"));
  pass(20 * kSecond);
  await("a closed gate", [](const core::PlanState& state) { return state.gate.epoch == 2; });
}

// The row of epochs may be lost as well: the target is prepared once more.
TEST_F(LostFenceTest, ATargetThatForgotItsEpochIsPreparedAnew) {
  target_.fail_next("keep out", ErrorCode::fenced);
  start();
  submit(drop_only());
  pass(40 * kSecond);
  ASSERT_TRUE(target_.await_call("keep out"));
  const int prepared = target_.calls("prepare");
  pass(20 * kSecond);
  await(Stage::completed);
  EXPECT_GT(target_.calls("prepare"), prepared);
}

}  // namespace
}  // namespace diastole::engine
