// From an open gate to contract, and back: fence, drain, quarantine.
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using core::GateStage;
using core::ReasonKind;
using core::Stage;
using testing::ElementsAre;

core::Session session(std::string role, std::string application_name) {
  core::Session out;
  out.server = "primary";
  out.pid = 99;
  out.role = std::move(role);
  out.application_name = std::move(application_name);
  return out;
}

class GateRunTest : public ReconcilerTest {
 protected:
  GateRunTest() { settings_.scan_every = Milliseconds{1}; }

  // Roles map to versions, and old sessions are ended.
  static core::Plan plan_with_roles() {
    using Tells = core::RoleMapping::Tells;
    auto plan = plan_without_soak();
    plan.gate.fleet.front().roles = {{"api_v1", Tells::version, "1.0.0"}, {"api_v2", Tells::version, "2.0.0"}};
    plan.gate.terminate = true;
    return plan;
  }
  static core::Plan plan_with_quarantine() {
    auto plan = plan_without_soak();
    plan.gate.quarantine = 60 * kSecond;
    return plan;
  }
  void approve() { ask(core::Approve{core::Phase::contract, "bob", "", false}); }
  void await(GateStage stage) {
    ReconcilerTest::await(std::string(to_string(stage)),
                          [=](const core::PlanState& state) { return state.gate.stage == stage; });
  }
  using ReconcilerTest::await;
};

TEST_F(GateRunTest, FencesThenDrainsThenContracts) {
  reach_backfilled(plan_with_roles());
  approve();
  await(Stage::completed);
  EXPECT_THAT(target_.last_gate_work().roles, ElementsAre("api_v1"));
  EXPECT_EQ(target_.last_gate_work().gate_epoch, 1);
  EXPECT_THAT(state().gate.fenced_roles, ElementsAre("api_v1"));
  // The fence stays: what old code needs is gone.
  EXPECT_EQ(target_.calls("let in"), 0);
  ASSERT_EQ(core::floors(state()).size(), 1U);
  EXPECT_EQ(core::floors(state()).front().version.text(), ">=2.0.0");
}

TEST_F(GateRunTest, AnOldSessionAtTheDrainIsEndedWhereThePlanLetsIt) {
  target_.hold("keep out");
  reach_backfilled(plan_with_roles());
  approve();
  ASSERT_TRUE(target_.await_call("keep out"));
  target_.set_sessions({session("api_v1", "")});
  target_.release("keep out");
  await(Stage::completed);
  EXPECT_EQ(target_.calls("end sessions"), 1);
  EXPECT_THAT(events<core::GateDrained>(), ElementsAre(core::GateDrained{1}));
}

TEST_F(GateRunTest, ADrainBeyondItsBudgetFallsBackAndLetsIn) {
  auto plan = plan_with_roles();
  plan.gate.terminate = false;
  plan.gate.drain_budget = 5 * kSecond;
  target_.hold("keep out");
  reach_backfilled(plan);
  approve();
  ASSERT_TRUE(target_.await_call("keep out"));
  target_.set_sessions({session("api_v1", "")});
  target_.release("keep out");
  await(GateStage::draining);
  advance(6 * kSecond);
  ReconcilerTest::await("fallen back", [](const core::PlanState& state) { return state.gate.epoch == 2; });
  EXPECT_EQ(target_.calls("end sessions"), 0);
  EXPECT_EQ(target_.calls("let in"), 1);
  const auto fell = events<core::GateFellBack>();
  ASSERT_EQ(fell.size(), 1U);
  EXPECT_TRUE(names(fell.front().reasons, ReasonKind::drain_budget) ||
              names(fell.front().reasons, ReasonKind::session_old));
  EXPECT_TRUE(core::floors(state()).empty());
}

TEST_F(GateRunTest, AnUndeclaredSessionKeepsTheGateClosed) {
  reach_backfilled();
  target_.set_sessions({session("joe", "psql")});
  pass(10 * kSecond);
  approve();
  await_waiting(ReasonKind::session_undeclared);
  EXPECT_EQ(target_.calls("keep out"), 0);
  target_.set_sessions({});
  pass(10 * kSecond);
  await(Stage::completed);
}

TEST_F(GateRunTest, AToolsSessionDoesNotCount) {
  settings_.tools[TargetName("main")] = {{core::Tool::By::application_name, "psql"}};
  target_.set_sessions({session("joe", "psql")});
  reach_backfilled();
  approve();
  await(Stage::completed);
}

TEST_F(GateRunTest, TheLastLookRollsBackAndTheGateFallsBack) {
  target_.set_last_look({{session("app", "api@1.0.0")}});
  reach_backfilled();
  approve();
  ReconcilerTest::await("fallen back", [](const core::PlanState& state) { return state.gate.epoch == 2; });
  EXPECT_EQ(target_.done().size(), 3U);
  ASSERT_FALSE(events<core::GateFellBack>().empty());
  EXPECT_TRUE(names(events<core::GateFellBack>().front().reasons, ReasonKind::session_old));
  target_.set_last_look(std::nullopt);
  pass(10 * kSecond);
  await(Stage::completed);
}

TEST_F(GateRunTest, QuarantineRenamesAndWaitsByTheTargetsClock) {
  reach_backfilled(plan_with_quarantine());
  approve();
  await_waiting(ReasonKind::quarantined);
  EXPECT_EQ(state().stage, Stage::backfilled);
  EXPECT_THAT(state().gate.quarantined, ElementsAre("users.a → gone"));
  target_.set_quarantined_for(59 * kSecond);
  pass(120 * kSecond);  // of ours, which does not count
  EXPECT_EQ(state().stage, Stage::backfilled);
  target_.set_quarantined_for(60 * kSecond);
  pass(10 * kSecond);
  await(Stage::completed);
}

TEST_F(GateRunTest, AHoldBringsBackWhatIsInQuarantine) {
  reach_backfilled(plan_with_quarantine());
  approve();
  await(GateStage::quarantined);
  ask(core::HoldGate{"bob", "the shop is slow"});
  await(GateStage::closed);
  EXPECT_EQ(target_.calls("let in"), 1);
  EXPECT_TRUE(state().gate.quarantined.empty());
  round();
  await_waiting(ReasonKind::held);
  ask(core::ReleaseGate{"bob"});
  target_.set_quarantined_for(60 * kSecond);
  await(GateStage::quarantined);
}

TEST_F(GateRunTest, AnAbortEndsQuarantineAndFenceFirst) {
  reach_backfilled(plan_with_quarantine());
  approve();
  await(GateStage::quarantined);
  ask(core::Abort{"bob", "no"});
  await(Stage::aborted);
  EXPECT_EQ(target_.calls("let in"), 1);
  EXPECT_EQ(state().gate.stage, GateStage::closed);
}

TEST_F(GateRunTest, ATargetThatRefusesTheFenceIsShownAndAskedAgain) {
  target_.fail_next("keep out", ErrorCode::conflict);
  reach_backfilled(plan_with_roles());
  approve();
  await_waiting(ReasonKind::retrying);
  EXPECT_EQ(state().gate.stage, GateStage::fencing);
  advance(2 * kSecond);
  await(Stage::completed);
  EXPECT_EQ(target_.calls("keep out"), 2);
}

TEST_F(GateRunTest, ATargetWhoseSessionsCannotBeSeenSaysWhy) {
  reach_backfilled();
  target_.fail_next("sessions", ErrorCode::unavailable, 3);
  pass(10 * kSecond);
  approve();
  ReconcilerTest::await("the reason", [](const core::PlanState& state) {
    return std::ranges::any_of(state.waiting, [](const core::Reason& reason) {
      return reason.kind == ReasonKind::sessions_unseen && reason.message.contains("scripted unavailable");
    });
  });
  pass(40 * kSecond);
  await(Stage::completed);
}

TEST_F(GateRunTest, AnOverrideByTwoPeopleLetsTheGateOpen) {
  reach_backfilled();
  report("1.0.0", "api-9");
  pass(50 * kSecond);
  approve();
  await_waiting(ReasonKind::instance_unknown);
  const core::InstanceName dead{ServiceName("api"), InstanceId("api-9")};
  ask(core::OverrideGate{{dead}, "the rack burnt down", "bob", 3'600 * kSecond, clock_.now().wall});
  round();
  EXPECT_EQ(state().stage, Stage::backfilled);
  ask(core::OverrideGate{{dead}, "", "carol", 3'600 * kSecond, clock_.now().wall});
  await(Stage::completed);
}

TEST_F(GateRunTest, AnOverrideExpires) {
  reach_backfilled();
  report("1.0.0", "api-9");
  pass(50 * kSecond);
  const core::InstanceName dead{ServiceName("api"), InstanceId("api-9")};
  ask(core::OverrideGate{{dead}, "the rack burnt down", "bob", 15 * kSecond, clock_.now().wall});
  ask(core::OverrideGate{{dead}, "", "carol", 15 * kSecond, clock_.now().wall});
  EXPECT_EQ(core::set_aside(state(), clock_.now().wall).size(), 1U);
  pass(20 * kSecond);
  EXPECT_TRUE(core::set_aside(state(), clock_.now().wall).empty());
  approve();
  await_waiting(ReasonKind::instance_unknown);
}

}  // namespace
}  // namespace diastole::engine
