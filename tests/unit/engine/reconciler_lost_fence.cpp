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
  // Seen, and watched for long enough.
  void reach_open_gate(const core::Plan& plan) {
    start();
    submit(plan);
    await(Stage::backfilled);
    round();
    pass(50 * kSecond);
  }
  void await_fallen_back() {
    for (int i = 0; i < 3; ++i) pass(10 * kSecond);
    await("fallen back", [](const core::PlanState& state) { return state.gate.epoch == 2; });
  }
};

// The adapter refuses before it has looked at a session.
TEST_F(LostFenceTest, ADropWhoseTargetForgotTheFenceLeadsBack) {
  target_.fail_next("do drop", ErrorCode::interrupted);
  reach_open_gate(drop_only());
  await_fallen_back();
  ASSERT_EQ(events<GateFellBack>().size(), 1U);
  EXPECT_TRUE(names(events<GateFellBack>().front().reasons, ReasonKind::gate_restoring));
  pass(20 * kSecond);
  await(Stage::completed);
}

// As a tool does that keeps roles as it has them written down.
TEST_F(LostFenceTest, ALoginThatIsGivenBackStopsTheDrop) {
  auto plan = drop_only();
  plan.gate.fleet.front().roles = {{"api_1", core::RoleMapping::Tells::version, "1.0.0"}};
  target_.hold("do drop");
  reach_open_gate(plan);
  ASSERT_TRUE(target_.await_call("do drop"));
  target_.give_login("api_1");
  target_.release("do drop");
  await_fallen_back();
  ASSERT_FALSE(events<GateFellBack>().empty());
  EXPECT_TRUE(names(events<GateFellBack>().front().reasons, ReasonKind::role_can_login));
}

TEST_F(LostFenceTest, AQuarantineThatIsGoneIsNotWaitedFor) {
  auto plan = drop_only();
  plan.gate.quarantine = 3600 * kSecond;
  plan.doomed = {{StepId("drop"), "users", "a"}};
  reach_open_gate(plan);
  await("quarantined", [](const core::PlanState& state) { return state.gate.stage == core::GateStage::quarantined; });
  target_.set_quarantined_for({});
  await_fallen_back();
  EXPECT_TRUE(names(events<GateFellBack>().front().reasons, ReasonKind::gate_restoring));
}

// Old code is not kept out for as long as a view depends on the column.
TEST_F(LostFenceTest, AQuarantineThatIsRefusedLeadsBack) {
  auto plan = drop_only();
  plan.gate.quarantine = 3600 * kSecond;
  plan.doomed = {{StepId("drop"), "users", "a"}};
  target_.fail_next("quarantine", ErrorCode::conflict);
  reach_open_gate(plan);
  ASSERT_TRUE(target_.await_call("quarantine"));
  await_fallen_back();
}

// The row of epochs may be lost as well: the target is prepared once more.
TEST_F(LostFenceTest, ATargetThatForgotItsEpochIsPreparedAnew) {
  target_.fail_next("keep out", ErrorCode::fenced);
  reach_open_gate(drop_only());
  ASSERT_TRUE(target_.await_call("keep out"));
  pass(20 * kSecond);
  await(Stage::completed);
  EXPECT_EQ(target_.calls("prepare"), 2);
}

}  // namespace
}  // namespace diastole::engine
