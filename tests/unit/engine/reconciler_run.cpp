// A plan's way through its phases, and what opens and closes it.
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using core::Phase;
using core::ReasonKind;
using core::Stage;
using core::StepStatus;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ReconcilerTest, WholePlanRunsToCompletion) {
  start();
  submit(test::sample_plan());
  await(Stage::backfilling);
  EXPECT_THAT(target_.done(), ElementsAre("do column", "do index"));
  await_waiting(ReasonKind::too_few_instances);
  pass(40 * kSecond);
  await(Stage::backfilled);
  await_waiting(ReasonKind::approval_missing);
  EXPECT_TRUE(waits_for(state(), ReasonKind::soaking));
  ask(core::Approve{Phase::contract, "bob", "", false});
  pass(50 * kSecond);
  EXPECT_EQ(state().stage, Stage::backfilled) << "a minute of soak has not passed";
  pass(40 * kSecond);  // it began with the first look at the sessions, which may be late
  await(Stage::completed);

  EXPECT_THAT(target_.done(), ElementsAre("do column", "do index", "do copy", "do check", "do drop", "do tidy"));
  EXPECT_EQ(target_.calls("prepare"), 1);
  EXPECT_EQ(target_.fence(), Epoch{1});
  EXPECT_THAT(state().waiting, IsEmpty());
  EXPECT_EQ(state().step(copy_).progress.rows_changed, 2500);
  EXPECT_EQ(state().step(copy_).progress.pass, 1);
  for (const auto& step : state().steps) EXPECT_EQ(step.attempts, 1);
  EXPECT_THAT(events<core::StepStarted>(), SizeIs(6));
  EXPECT_THAT(events<core::StepFinished>(), SizeIs(6));
  EXPECT_EQ(target_.last_preflight().phase, Phase::contract);
  EXPECT_THAT(target_.last_preflight().steps, SizeIs(3));
  EXPECT_EQ(target_.last_preflight().ledger_plan, "main.rename");
}

TEST_F(ReconcilerTest, OldHeartbeatBetweenDecisionAndRecordStopsContract) {
  reach_backfilled();
  store_.interfere([this](const core::PlanState&, auto events) -> Result<void> {
    for (const auto& event : events) {
      const auto* started = std::get_if<core::PhaseStarted>(&event);
      if (!started || started->phase != Phase::contract) continue;
      if (++hooked_ == 1) report("1.9.9", "api-2");
    }
    return {};
  });
  ask(core::Approve{Phase::contract, "bob", "", false});
  await_waiting(ReasonKind::instance_old);
  EXPECT_EQ(hooked_, 1);
  round();
  EXPECT_EQ(state().stage, Stage::backfilled);
  EXPECT_EQ(target_.calls("do check"), 0);
  const auto gates = reconciler_->gates(state());
  EXPECT_FALSE(gates.contract.open());

  report("2.0.0", "api-2");
  reconciler_->wake();
  await(Stage::completed);
  EXPECT_EQ(hooked_, 2);
}

TEST_F(ReconcilerTest, OldInstanceAmidContractTakesItBack) {
  target_.hold("do drop");
  reach_backfilled();
  ask(core::Approve{Phase::contract, "bob", "", false});
  ASSERT_TRUE(target_.await_call("do drop"));
  report("1.0.0", "api-2");
  target_.release("do drop");
  await_waiting(ReasonKind::instance_old);
  EXPECT_EQ(state().stage, Stage::backfilled);
  EXPECT_EQ(state().gate.stage, core::GateStage::closed);
  EXPECT_EQ(state().gate.epoch, 2);
  EXPECT_EQ(target_.calls("let in"), 1);
  EXPECT_THAT(target_.done(), testing::ElementsAre("do column", "do index", "do copy", "do check", "undo check"));
  report("2.0.0", "api-2");
  reconciler_->wake();
  await(Stage::completed);
  EXPECT_THAT(target_.done(), testing::ElementsAre("do column", "do index", "do copy", "do check", "undo check",
                                                   "do check", "do drop", "do tidy"));
}

TEST_F(ReconcilerTest, GateThatClosesWhileADropWaitsForItsLockStopsIt) {
  settings_.lock_attempts = 10'000;
  target_.fail_next("do drop", ErrorCode::lock_timeout, 10'000);
  reach_backfilled();
  ask(core::Approve{Phase::contract, "bob", "", false});
  ASSERT_TRUE(target_.await_call("do drop"));
  report("1.0.0", "api-2");
  reconciler_->wake();
  await("the drop to rest", [](const auto& state) {
    return state.step(StepId("drop")).status == StepStatus::pending && waits_for(state, ReasonKind::instance_old);
  });
  EXPECT_EQ(events<core::StepInterrupted>().back().why, "the gate closed");
  target_.heal("do drop");
  report("2.0.0", "api-2");
  reconciler_->wake();
  await(Stage::completed);
}

TEST_F(ReconcilerTest, GateOfAPlanTheLoopHasNotMetWatchesFromNow) {
  clock_.advance(100 * kSecond);
  reconciler_ = std::make_unique<Reconciler>(journal_, fleet_, targets_, lease_, clock_, log_, settings_);
  submit();
  report("2.0.0");
  const auto gates = reconciler_->gates(state());
  EXPECT_TRUE(names(gates.contract.reasons, ReasonKind::watching));
  ASSERT_TRUE(gates.needs.contains(copy_));
  EXPECT_FALSE(gates.needs.at(copy_).open());
}

TEST_F(ReconcilerTest, ObstaclesFoundByPreflightBlockUntilTheyAreGone) {
  core::Reason obstacle;
  obstacle.kind = ReasonKind::long_transaction;
  obstacle.pid = 99;
  obstacle.message = "session 99 is idle in transaction";
  target_.set_preflight({obstacle});
  start();
  submit();
  await_waiting(ReasonKind::long_transaction);
  EXPECT_EQ(state().waiting.front(), obstacle);
  round();
  EXPECT_EQ(target_.calls("preflight expand"), 1) << "not asked again before its time";
  EXPECT_EQ(target_.calls("do column"), 0);
  target_.set_preflight({});
  advance(core::kPreflightValid);
  await(Stage::backfilling);
}

TEST_F(ReconcilerTest, TargetAwayAtPreflightIsAReasonThatClears) {
  target_.fail_next("prepare", ErrorCode::unavailable);
  start();
  submit();
  await_waiting(ReasonKind::target_unavailable);
  EXPECT_THAT(state().waiting.front().message, HasSubstr("scripted unavailable"));
  advance(core::kPreflightValid);
  await(Stage::backfilling);
}

TEST_F(ReconcilerTest, TargetThatTheConfigurationLostIsAReason) {
  targets_.clear();
  start();
  submit();
  await_waiting(ReasonKind::target_unavailable);
  EXPECT_THAT(state().waiting.front().message, HasSubstr("the configuration does not name it any more"));
  EXPECT_EQ(target_.calls(), 0);
}

TEST_F(ReconcilerTest, PauseDuringABackfillAndResumeGoesOn) {
  reach_first_batch();
  ask(core::Pause{"bob"});
  round();
  target_.release("batch copy");
  await("the copy to rest", [this](const auto& state) { return state.step(copy_).status == StepStatus::pending; });
  EXPECT_EQ(state().condition, core::Condition::paused);
  EXPECT_EQ(state().step(copy_).applied, core::Applied::partial);
  EXPECT_EQ(events<core::StepInterrupted>().back().why, "paused");
  round();
  EXPECT_EQ(target_.calls("batch copy"), 1);
  ask(core::Resume{"bob"});
  await(Stage::backfilled);
  EXPECT_EQ(state().step(copy_).attempts, 2);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500) << "no row twice";
}

TEST_F(ReconcilerTest, BackfillYieldsWhenWhatItNeedsFails) {
  reach_first_batch();
  report("1.0.0", "api-2");
  round();
  target_.release("batch copy");
  await_waiting(ReasonKind::instance_old);
  EXPECT_THAT(events<core::StepInterrupted>().back().why, HasSubstr("needs"));
  round();
  EXPECT_EQ(target_.calls("batch copy"), 1);
  report("1.5.0", "api-2");
  reconciler_->wake();
  await(Stage::backfilled);
}

TEST_F(ReconcilerTest, BackfillPassesAgainUntilNothingRemains) {
  target_.set_table(100, {5, 0});
  reach_backfilled();
  EXPECT_EQ(state().step(copy_).progress.pass, 2);
  EXPECT_EQ(state().step(copy_).progress.rows, 200);
  EXPECT_EQ(state().step(copy_).progress.rows_total, 200) << "of both passes";
  EXPECT_EQ(target_.calls("again copy"), 1);
}

TEST_F(ReconcilerTest, VerificationThatNeverHoldsFailsAfterItsPasses) {
  // A retry has its passes anew.
  target_.set_table(100, {5, 4, 3, 3, 0});
  start();
  submit();
  await(Stage::backfilling);
  pass(40 * kSecond);
  await_failed();
  EXPECT_EQ(target_.calls("again copy"), 2);
  EXPECT_THAT(state().step(copy_).failure->message, HasSubstr("3 rows after 3 passes"));
  ask(core::Retry{"bob"});
  await(Stage::backfilled);
}

TEST_F(ReconcilerTest, ABackfillThatWouldChangeRowsAgainHasNoOtherPass) {
  auto plan = plan_without_soak();
  auto& backfill = *plan.steps[test::kCopy].backfill;
  backfill.set = {{"n", "n + 1"}};
  backfill.verify = "SELECT 1 FROM users WHERE n IS NULL";
  target_.set_table(100, {5, 5, 0});
  start();
  submit(plan);
  await(Stage::backfilling);
  pass(40 * kSecond);
  await_failed();
  EXPECT_THAT(state().step(copy_).failure->hint, HasSubstr("mend what it finds"));
  ask(core::Retry{"bob"});
  await_failed();
  ask(core::Retry{"bob"});
  await(Stage::backfilled);
  EXPECT_EQ(target_.calls("again copy"), 0);
}

TEST_F(ReconcilerTest, BackfillTellsItsProgressOnceASecond) {
  target_.hold("batch copy");
  target_.set_table(1'000'000);
  start();
  submit();
  await(Stage::backfilling);
  pass(40 * kSecond);
  ASSERT_TRUE(target_.await_call("batch copy"));
  clock_.advance(2 * kSecond);
  target_.release("batch copy");
  await("progress", [this](const auto& state) { return state.step(copy_).progress.rows > 0; });
  const auto progress = events<core::StepProgressed>().front().progress;
  EXPECT_EQ(progress.rows, 1000);
  EXPECT_EQ(progress.rows_total, 1'000'000);
  EXPECT_DOUBLE_EQ(progress.rows_per_second, 500);
  EXPECT_EQ(progress.eta, Milliseconds{1'998'000});
  EXPECT_DOUBLE_EQ(progress.share, 0.001);
  await(Stage::backfilled);
  EXPECT_THAT(events<core::StepProgressed>(), SizeIs(2)) << "and the last, at the end";
  EXPECT_EQ(state().step(copy_).progress.share, 1);
}

ports::TargetError division_by_zero() {
  ports::TargetError error{ErrorCode::invalid_argument, {}, {}};
  error.failure.sqlstate = "22012";
  error.failure.message = "division by zero";
  return error;
}

TEST_F(ReconcilerTest, ARowThatCannotBeChangedIsClosedInOnAndPassed) {
  // 1000, 500, 250, 125, 62, 31, 15, 10.
  target_.fail_next("batch copy", division_by_zero(), 8, test::FakeTarget::Effect::rolled_back);
  reach_backfilled();
  ASSERT_GE(target_.asked_rows().size(), 2U);
  EXPECT_EQ(target_.asked_rows()[0], 10) << "row by row only through the smallest batch";
  EXPECT_EQ(target_.asked_rows()[1], 20) << "and then grows again";
  EXPECT_EQ(target_.calls("isolate copy"), 1);
  const auto copy = state().step(copy_);
  EXPECT_EQ(copy.progress.rows_skipped, 1);
  EXPECT_EQ(copy.progress.rows_changed, 2499);
  EXPECT_EQ(copy.note,
            "1 row was skipped, listed in the target's diastole.backfill_skipped: public.users id = 7: division by "
            "zero");
  EXPECT_THAT(events<core::LockWaited>(), IsEmpty());
}

TEST_F(ReconcilerTest, ARowThatStopsTheStepLeavesItToARetry) {
  target_.fail_next("batch copy", division_by_zero(), 8, test::FakeTarget::Effect::rolled_back);
  auto named = division_by_zero();
  named.failure.detail = "public.users id = 7: division by zero";
  target_.fail_next("isolate copy", named, 1, test::FakeTarget::Effect::rolled_back);
  start();
  submit();
  await(Stage::backfilling);
  pass(40 * kSecond);
  await_failed();
  EXPECT_EQ(state().step(copy_).failure, named.failure);
  EXPECT_EQ(state().step(copy_).applied, core::Applied::partial);
  ask(core::Retry{"bob"});
  await(Stage::backfilled);
  EXPECT_EQ(state().step(copy_).progress.rows_skipped, 0);
}

TEST_F(ReconcilerTest, RowsLeftOverBlockContractUntilTheyAreMended) {
  target_.set_recheck({.rows = 2, .unwritten = false});
  reach_backfilled();
  ask(core::Approve{Phase::contract, "bob", "", false});
  await_waiting(ReasonKind::verification_failed);
  const auto reason = state().waiting.front();
  EXPECT_EQ(reason.count, 2);
  EXPECT_EQ(reason.object, "copy");
  EXPECT_EQ(reason.message, "verified once more, backfill copy has left 2 rows of users");
  EXPECT_EQ(target_.calls("do check"), 0);
  target_.set_recheck({});
  pass(10 * kSecond);
  EXPECT_EQ(target_.calls("recheck copy"), 1) << "it may read the whole table";
  pass(core::kVerificationValid);
  await(Stage::completed);
  EXPECT_GE(target_.calls("recheck copy"), 2);
}

TEST_F(ReconcilerTest, AVerificationThatCannotBeAskedBlocksContract) {
  auto gone = division_by_zero();
  gone.failure.message = "column b does not exist";
  target_.fail_next("recheck copy", gone, 1, test::FakeTarget::Effect::rolled_back);
  reach_backfilled();
  ask(core::Approve{Phase::contract, "bob", "", false});
  await_waiting(ReasonKind::verification_failed);
  EXPECT_THAT(state().waiting.front().message, HasSubstr("column b does not exist"));
  pass(core::kVerificationValid + 10 * kSecond);
  await(Stage::completed);
}

TEST_F(ReconcilerTest, AbortEndsAVerificationThatIsUnderWay) {
  target_.hold("recheck copy");
  reach_backfilled();
  ask(core::Approve{Phase::contract, "bob", "", false});
  ASSERT_TRUE(target_.await_call("recheck copy"));
  ask(core::Abort{"bob", "second thoughts"});
  reconciler_->wake();
  await(Stage::aborted);
}

}  // namespace
}  // namespace diastole::engine
