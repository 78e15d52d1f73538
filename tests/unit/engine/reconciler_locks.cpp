// Locks that are not granted, pauses amid them, and the way back.
#include <atomic>

#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using core::Stage;
using core::StepStatus;
using test::FakeTarget;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ReconcilerTest, LockTimeoutsAreRetriedAndNameTheirBlockers) {
  target_.fail_next("do column", ErrorCode::lock_timeout, 2);
  start();
  submit();
  await(Stage::backfilling);
  const auto waits = events<core::LockWaited>();
  ASSERT_THAT(waits, SizeIs(2));
  EXPECT_EQ(waits[0].attempt, 1);
  EXPECT_EQ(waits[1].attempt, 2);
  ASSERT_THAT(waits[0].blockers, SizeIs(1));
  EXPECT_EQ(waits[0].blockers[0].pid, 4711);
  EXPECT_EQ(state().step(column_).attempts, 1);
  EXPECT_EQ(target_.calls("do column"), 3);
}

TEST_F(ReconcilerTest, LockThatIsNeverGrantedFailsAndCanBeRetried) {
  settings_.lock_attempts = 3;
  target_.fail_next("do column", ErrorCode::lock_timeout, 3);
  start();
  submit();
  await_failed();
  EXPECT_EQ(target_.calls("do column"), 3);
  EXPECT_THAT(events<core::LockWaited>(), SizeIs(2));
  const auto failure = state().step(column_).failure;
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->blockers.front().pid, 4711);
  EXPECT_THAT(failure->hint, HasSubstr("3 attempts of 500ms"));
  round();
  EXPECT_EQ(target_.calls("do column"), 3) << "failed stays failed until somebody asks";
  ask(core::Retry{"bob"});
  await(Stage::backfilling);
  EXPECT_EQ(state().step(column_).attempts, 2);
}

TEST_F(ReconcilerTest, StatementThatPostgresRefusesFailsAtOnceAsItSaidIt) {
  ports::TargetError error{ErrorCode::invalid_argument, {}, core::Applied::none};
  error.failure = {.sqlstate = "42701",
                   .message = "column exists",
                   .detail = {},
                   .hint = {},
                   .statement = 1,
                   .line = 2,
                   .column = 3,
                   .blockers = {}};
  target_.fail_next("do column", error, 1, FakeTarget::Effect::rolled_back);
  start();
  submit();
  await_failed();
  EXPECT_EQ(state().step(column_).failure, error.failure);
  EXPECT_EQ(state().step(column_).status, StepStatus::failed);
  EXPECT_EQ(target_.calls("do column"), 1);
}

TEST_F(ReconcilerTest, PauseEndsTheWaitForALock) {
  settings_.lock_attempts = 10'000;
  settings_.lock_retry_max = Milliseconds{600'000};
  target_.fail_next("do column", ErrorCode::lock_timeout, 10'000);
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do column"));
  ask(core::Pause{"bob"});
  await("the step to rest", [this](const auto& state) { return state.step(column_).status == StepStatus::pending; });
  EXPECT_EQ(state().condition, core::Condition::paused);
  EXPECT_THAT(events<core::LockWaited>(), testing::Not(IsEmpty()));
  const int calls = target_.calls("do column");
  round();
  EXPECT_EQ(target_.calls("do column"), calls);
  target_.heal("do column");
  ask(core::Resume{"bob"});
  await(Stage::backfilling);
}

TEST_F(ReconcilerTest, BatchesThatWaitForLocksGetSmallerAndAreBounded) {
  target_.set_table(100'000);
  target_.fail_next("batch copy", ErrorCode::lock_timeout, 12);
  reach_backfilled();
  EXPECT_THAT(events<core::LockWaited>(), SizeIs(2)) << "the first and the tenth";
  EXPECT_GT(target_.calls("batch copy"), 40) << "from 10 rows again, not from 1,000";
}

TEST_F(ReconcilerTest, BatchesThatAllWaitALittleAreToldOfOnceASecond) {
  std::atomic<int> batches = 0;
  target_.on_call = [&](const std::string& call, const ports::WorkId*) {
    if (call == "batch copy" && ++batches % 2 == 1) target_.fail_next(call, ErrorCode::lock_timeout, 1);
  };
  reach_backfilled();
  EXPECT_GE(batches, 6);
  EXPECT_THAT(events<core::LockWaited>(), SizeIs(1));
}

TEST_F(ReconcilerTest, BackfillWhoseLocksAreNeverGrantedFails) {
  target_.fail_next("batch copy", ErrorCode::lock_timeout, 101);
  start();
  submit();
  await(Stage::backfilling);
  pass(40 * kSecond);
  await_failed();
  EXPECT_EQ(state().step(copy_).failure->blockers.front().pid, 4711);
  ask(core::Retry{"bob"});
  await(Stage::backfilled);
}

TEST_F(ReconcilerTest, ABackfillWhoseTableIsLockedWhileItBeginsOrIsVerifiedGoesOnByItself) {
  for (const auto* call : {"begin copy", "remaining copy", "finish copy"})
    target_.fail_next(call, ErrorCode::lock_timeout, 1);
  start();
  submit();
  await(Stage::backfilling);
  for (int i = 0; i < 10'000 && state().stage == Stage::backfilling; ++i) pass(10 * kSecond);
  await(Stage::backfilled);
  EXPECT_FALSE(state().step(copy_).failure.has_value());
  EXPECT_EQ(events<core::StepFailed>().size(), 0U);
}

TEST_F(ReconcilerTest, BatchThatTakesTooLongIsTriedSmaller) {
  ports::TargetError timeout{ErrorCode::invalid_argument, {}, core::Applied::none};
  timeout.failure.sqlstate = "57014";
  target_.fail_next("batch copy", timeout, 3, FakeTarget::Effect::rolled_back);
  reach_backfilled();
  EXPECT_EQ(state().step(copy_).attempts, 1);
}

TEST_F(ReconcilerTest, PauseBetweenDecisionAndRecordKeepsTheStepFromRunning) {
  // One event appended where the decision has one too: the numbers alone would fit.
  const auto test_thread = std::this_thread::get_id();
  fleet_clock_.on_now = [this, test_thread] {
    if (std::this_thread::get_id() == test_thread || state().stage != Stage::expanding || hooked_.exchange(1) == 1)
      return;
    ask(core::Pause{"bob"});
  };
  start();
  submit();
  await("paused", [](const auto& state) { return state.condition == core::Condition::paused; });
  round();
  EXPECT_EQ(target_.calls("do column"), 0);
  EXPECT_EQ(state().step(column_).status, StepStatus::pending);
  ask(core::Resume{"bob"});
  await(Stage::backfilling);
}

TEST_F(ReconcilerTest, AbortCancelsTheRunningStepAndUndoesBackwards) {
  target_.hold("do index");
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do index"));
  ask(core::Abort{"bob", "wrong column"});
  await(Stage::aborted);
  EXPECT_THAT(target_.done(), ElementsAre("do column", "undo column"));
  EXPECT_EQ(target_.calls("undo index"), 0) << "nothing of it was there";
  EXPECT_EQ(events<core::StepInterrupted>().front().why, "abort was asked for");
}

TEST_F(ReconcilerTest, AbortUndoesWhatAFailedStepLeftBehind) {
  ports::TargetError error{ErrorCode::invalid_argument, {}, core::Applied::partial};
  target_.fail_next("do index", error, 1, FakeTarget::Effect::rolled_back);
  start();
  submit();
  await_failed();
  ask(core::Abort{"bob", "no"});
  await(Stage::aborted);
  EXPECT_THAT(target_.done(), ElementsAre("do column", "undo index", "undo column"));
}

TEST_F(ReconcilerTest, AbortAfterTheBackfillUndoesInReverse) {
  reach_backfilled();
  ask(core::Abort{"bob", "no"});
  await(Stage::aborted);
  std::vector<std::string> undone;
  for (const auto& event : events<core::UndoStarted>()) undone.push_back(event.step.str());
  EXPECT_THAT(undone, ElementsAre("copy", "index", "column"));
  EXPECT_EQ(state().step(copy_).note, "the column goes");
  EXPECT_EQ(target_.calls("undo copy"), 0);
}

TEST_F(ReconcilerTest, UndoThatFailsCanBeRetried) {
  settings_.lock_attempts = 2;
  target_.hold("do index");
  target_.fail_next("undo column", ErrorCode::lock_timeout, 2);
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do index"));
  ask(core::Abort{"bob", "no"});
  await_failed();
  EXPECT_EQ(state().step(column_).status, StepStatus::undo_failed);
  EXPECT_THAT(state().step(column_).failure->hint, HasSubstr("2 attempts"));
  ask(core::Retry{"bob"});
  await(Stage::aborted);
  EXPECT_THAT(target_.done(), ElementsAre("do column", "undo column"));
}

TEST_F(ReconcilerTest, PauseHoldsAnAbortToo) {
  settings_.lock_attempts = 10'000;
  target_.hold("do index");
  target_.fail_next("undo column", ErrorCode::lock_timeout, 10'000);
  start();
  submit();
  ASSERT_TRUE(target_.await_call("do index"));
  ask(core::Abort{"bob", "no"});
  ASSERT_TRUE(target_.await_call("undo column"));
  ask(core::Pause{"bob"});
  await("the undo to rest", [this](const auto& state) { return state.step(column_).status == StepStatus::done; });
  EXPECT_EQ(events<core::UndoInterrupted>().back().why, "paused");
  target_.heal("undo column");
  ask(core::Resume{"bob"});
  await(Stage::aborted);
}

}  // namespace
}  // namespace diastole::engine
