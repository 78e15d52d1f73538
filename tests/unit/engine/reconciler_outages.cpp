// Targets, state database and lease that go away; stops, crashes and restarts.
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using core::Applied;
using core::ReasonKind;
using core::Stage;
using core::StepStatus;
using test::FakeTarget;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ReconcilerTest, UnknownOutcomeThatWasACommitIsNotRepeated) {
  target_.fail_next("do column", ErrorCode::outcome_unknown, 1, FakeTarget::Effect::committed);
  start();
  submit();
  await_waiting(ReasonKind::retrying);
  EXPECT_EQ(state().step(column_).status, StepStatus::running);
  round();
  EXPECT_EQ(target_.calls("settle column"), 0) << "not before its time";
  advance(kSecond);
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("settle column"), 1);
  EXPECT_EQ(target_.calls("do column"), 1);
  EXPECT_THAT(state().step(column_).note, HasSubstr("the ledger says: full"));
}

TEST_F(ReconcilerTest, UnknownOutcomeThatWasARollbackRunsAgain) {
  target_.fail_next("do column", ErrorCode::outcome_unknown);
  start();
  submit();
  await_waiting(ReasonKind::retrying);
  advance(kSecond);
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("settle column"), 1);
  EXPECT_EQ(target_.calls("do column"), 2);
  EXPECT_EQ(state().step(column_).attempts, 2);
}

TEST_F(ReconcilerTest, UndoWithUnknownOutcomeIsSettled) {
  target_.hold("do index");
  target_.fail_next("undo column", ErrorCode::outcome_unknown, 1, FakeTarget::Effect::committed);
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do index"));
  ask(core::Abort{"bob", "no"});
  await_waiting(ReasonKind::retrying);
  advance(kSecond);
  await(Stage::aborted);
  EXPECT_EQ(target_.calls("undo column"), 1);
}

TEST_F(ReconcilerTest, BackfillWhoseConnectionBreaksGoesOnFromItsCursor) {
  target_.fail_next("batch copy", ErrorCode::outcome_unknown, 1, FakeTarget::Effect::committed);
  start();
  submit();
  await(Stage::backfilling);
  pass(40 * kSecond);
  await_waiting(ReasonKind::retrying);
  report("2.0.0");
  advance(kSecond);
  await(Stage::backfilled);
  EXPECT_EQ(target_.calls("settle copy"), 1);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500);
}

TEST_F(ReconcilerTest, UnavailableTargetIsTriedLessAndLess) {
  target_.fail_next("do column", ErrorCode::unavailable, 3);
  start();
  submit();
  const auto await_hold = [this](int attempt) {
    await("hold " + std::to_string(attempt), [=, this](const core::PlanState& state) {
      return state.step(column_).attempts == attempt && waits_for(state, ReasonKind::retrying);
    });
    round();
    EXPECT_EQ(target_.calls("do column"), attempt);
  };
  await_hold(1);
  EXPECT_THAT(state().waiting.front().message, HasSubstr("scripted unavailable"));
  advance(kSecond);
  await_hold(2);
  advance(kSecond);
  round();
  EXPECT_EQ(target_.calls("do column"), 2) << "two seconds this time";
  advance(kSecond);
  await_hold(3);
  advance(3 * kSecond);
  round();
  EXPECT_EQ(target_.calls("do column"), 3) << "four";
  advance(kSecond);
  await(Stage::backfilling);
  EXPECT_THAT(events<core::StepInterrupted>(), SizeIs(3));
}

TEST_F(ReconcilerTest, TargetThatComesBackIsPreparedAnew) {
  target_.fail_next("do column", ErrorCode::unavailable);
  start();
  submit();
  await_waiting(ReasonKind::retrying);
  target_.raise_fence(Epoch{0});  // restored from before our time
  advance(kSecond);
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("prepare"), 2);
}

TEST_F(ReconcilerTest, FencedDaemonTouchesNothingUntilItsLeaseIsNewer) {
  target_.raise_fence(Epoch{9});
  start();
  submit();
  await_waiting(ReasonKind::target_unavailable);
  EXPECT_THAT(state().waiting.front().message, HasSubstr("a later epoch has taken over"));
  round();
  EXPECT_THAT(target_.done(), IsEmpty());
  lease_.set(Epoch{10});
  advance(core::kPreflightValid);
  await(Stage::backfilling);
  EXPECT_EQ(target_.fence(), Epoch{10});
}

TEST_F(ReconcilerTest, StepFencedAmidItsPhaseWaitsAndSaysWhy) {
  target_.hold("do column");
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do column"));
  target_.raise_fence(Epoch{9});
  target_.release("do column");
  await_waiting(ReasonKind::retrying);
  EXPECT_THAT(target_.done(), IsEmpty());
  EXPECT_EQ(state().step(column_).status, StepStatus::pending);
}

TEST_F(ReconcilerTest, NothingRunsWhileADecisionCannotBeRecorded) {
  target_.hold("preflight expand");
  start();
  submit();
  ASSERT_TRUE(target_.await_call("preflight expand"));
  store_.set_away(true);
  target_.release("preflight expand");
  ASSERT_TRUE(store_.await_refused(1));
  round();
  EXPECT_EQ(state().stage, Stage::accepted);
  EXPECT_EQ(target_.calls("do column"), 0);
  store_.set_away(false);
  reconciler_->wake();
  await(Stage::backfilling);
}

TEST_F(ReconcilerTest, OutcomeThatCannotBeRecordedIsSettledWhenItCan) {
  target_.hold("do column");
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do column"));
  store_.set_away(true);
  target_.release("do column");
  ASSERT_TRUE(store_.await_refused(1));
  round();
  EXPECT_EQ(target_.calls("settle column"), 0) << "nor is the target asked over and over";
  EXPECT_EQ(target_.calls("do index"), 0);
  store_.set_away(false);
  await_waiting(ReasonKind::retrying);
  advance(kSecond);
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("do column"), 1);
  EXPECT_EQ(target_.calls("settle column"), 1);
}

TEST_F(ReconcilerTest, BackfillStopsWhenItsProgressCannotBeRecorded) {
  target_.set_table(1'000'000);
  reach_first_batch();
  store_.set_away(true);
  clock_.advance(2 * kSecond);
  target_.release("batch copy");
  ASSERT_TRUE(store_.await_refused(2)) << "the progress, and that it stopped";
  store_.set_away(false);
  await_waiting(ReasonKind::retrying);
  EXPECT_EQ(target_.calls("batch copy"), 1);
  report("2.0.0");
  advance(kSecond);
  await(Stage::backfilled);
  EXPECT_EQ(state().step(copy_).progress.rows, 1'000'000);
}

TEST_F(ReconcilerTest, NothingRunsWithoutALease) {
  lease_.set(Epoch{1});
  submit();
  lease_.set(Epoch{0});
  start();
  round();
  EXPECT_EQ(target_.calls(), 0);
  EXPECT_EQ(state().seq, 1);
  lease_.set(Epoch{2});
  reconciler_->wake();
  await(Stage::backfilling);
  EXPECT_EQ(target_.fence(), Epoch{2});
}

TEST_F(ReconcilerTest, LostLeaseStopsABackfillAndATakeoverWatchesAnew) {
  reach_first_batch();
  lease_.set(Epoch{0});
  round();
  target_.release("batch copy");
  round();
  EXPECT_EQ(target_.calls("batch copy"), 1);
  EXPECT_EQ(state().step(copy_).status, StepStatus::running) << "nobody may write that it is not";
  lease_.set(Epoch{2});
  report("2.0.0");
  reconciler_->wake();
  await("the takeover", [](const core::PlanState& state) {
    return waits_for(state, ReasonKind::retrying) || waits_for(state, ReasonKind::watching);
  });
  advance(kSecond);
  await_waiting(ReasonKind::watching);
  EXPECT_EQ(target_.calls("batch copy"), 1);
  pass(40 * kSecond);
  await(Stage::backfilled);
  EXPECT_EQ(target_.fence(), Epoch{2});
}

TEST_F(ReconcilerTest, StopLetsAShortStepFinish) {
  target_.hold("do column");
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do column"));
  std::jthread stopping([this] { reconciler_->stop(Milliseconds{60'000}); });
  target_.release("do column");
  stopping.join();
  EXPECT_EQ(state().step(column_).status, StepStatus::done);
  EXPECT_THAT(target_.done(), testing::Contains("do column"));
  for (const auto& step : state().steps) EXPECT_NE(step.status, StepStatus::running);
  const int calls = target_.calls();
  ask(core::Pause{"bob"});
  EXPECT_EQ(target_.calls(), calls) << "nothing begins after the stop";
}

TEST_F(ReconcilerTest, StopCancelsALongStepAndTheNextStartRunsIt) {
  target_.hold("do column");
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do column"));
  stop(Milliseconds{10});
  EXPECT_EQ(state().step(column_).status, StepStatus::pending);
  EXPECT_EQ(events<core::StepInterrupted>().front().why, "the daemon is stopping");
  EXPECT_THAT(target_.done(), IsEmpty());
  target_.release("do column");
  start();
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("settle column"), 0) << "its end was recorded";
}

TEST_F(ReconcilerTest, StepThatWaitsForAWorkerDoesNotBeginDuringAStop) {
  reach_step_behind_held_step();
  stop(Milliseconds{10});
  EXPECT_EQ(target_.calls("do other"), 0);
}

TEST_F(ReconcilerTest, StepThatWaitsForAWorkerHonoursAPause) {
  reach_step_behind_held_step();
  const PlanId second("main.second");
  record(second, core::PlanPaused{"bob"});
  round();
  target_.release("do column");
  ASSERT_TRUE(store_.await(
      second, [](const core::PlanState& state) { return state.steps.front().status != StepStatus::running; }));
  EXPECT_EQ(store_.stored(second).steps.front().status, StepStatus::pending);
  EXPECT_EQ(target_.calls("do other"), 0);
}

TEST_F(ReconcilerTest, ActThatEndsWhileTheLoopLooksIsNotSettled) {
  fleet_clock_.on_now = [this] {
    if (hooked_.exchange(0) == 0) return;
    target_.release("do column");
    EXPECT_TRUE(target_.await_call("do other")) << "only then the act is over, and not just recorded";
  };
  reach_step_behind_held_step();
  hooked_ = 1;
  reconciler_->wake();
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("settle column"), 0);
}

class RestartTest : public ReconcilerTest {
 protected:
  // A process marked the step, and ended.
  void crashed_amid(const StepId& step) {
    submit();
    record(plan_, core::PhaseStarted{core::Phase::expand, false});
    record(plan_, core::StepStarted{step, 1});
  }
};

TEST_F(RestartTest, StepFoundCommittedIsDone) {
  crashed_amid(column_);
  target_.set_ledger("column", Applied::full);
  start();
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("do column"), 0);
  EXPECT_EQ(target_.calls("settle column"), 1);
}

TEST_F(RestartTest, StepFoundAbsentRunsAgain) {
  crashed_amid(column_);
  start();
  await(Stage::backfilling);
  EXPECT_EQ(events<core::StepInterrupted>().front().applied, Applied::none);
  EXPECT_EQ(target_.calls("do column"), 1);
  EXPECT_EQ(state().step(column_).attempts, 2);
}

TEST_F(RestartTest, StepFoundHalfDoneRunsAgain) {
  crashed_amid(column_);
  target_.set_ledger("column", Applied::partial);
  start();
  await(Stage::backfilling);
  EXPECT_EQ(events<core::StepInterrupted>().front().applied, Applied::partial);
  EXPECT_EQ(target_.calls("do column"), 1);
}

TEST_F(RestartTest, PausedPlanIsSettledButNotContinued) {
  crashed_amid(column_);
  ask(core::Pause{"bob"});
  start();
  await("settled", [this](const auto& state) { return state.step(column_).status == StepStatus::pending; });
  round();
  EXPECT_EQ(target_.calls("do column"), 0);
}

TEST_F(RestartTest, SettlingWaitsForTheTarget) {
  crashed_amid(column_);
  target_.fail_next("settle column", ErrorCode::unavailable);
  start();
  await_waiting(ReasonKind::retrying);
  EXPECT_EQ(target_.calls("do column"), 0);
  advance(kSecond);
  await(Stage::backfilling);
  EXPECT_EQ(target_.calls("settle column"), 2);
}

TEST_F(ReconcilerTest, LastRoundFollowsTheClock) {
  start();
  clock_.advance(7 * kSecond);
  round();
  EXPECT_EQ(reconciler_->last_round(), clock_.now().mono);
}

}  // namespace
}  // namespace diastole::engine
