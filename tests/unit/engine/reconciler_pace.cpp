// A backfill whose pace an operator sets while it runs.
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using core::Pace;
using core::ReasonKind;
using core::Stage;
using core::StepStatus;
using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

class PaceOfReconcilerTest : public ReconcilerTest {
 protected:
  void set_pace(const Pace& pace, const std::string& by = "ann") { ask(core::SetPace{copy_, pace, by}); }
  static Pace paused() { return {.rows_per_second = {}, .batch_rows = {}, .workers = {}, .paused = true}; }
  static core::Plan plan_with_vacuum(int every) {
    auto plan = plan_without_soak();
    plan.steps[test::kCopy].backfill->vacuum_every = every;
    return plan;
  }
  void await_held() {
    await_waiting(ReasonKind::manual);
    EXPECT_EQ(state().step(copy_).status, StepStatus::pending);
    EXPECT_EQ(state().condition, core::Condition::active) << "it has not failed";
  }
};

TEST_F(PaceOfReconcilerTest, TheRunningBackfillLearnsOfItsBatchSize) {
  reach_first_batch();
  set_pace({.rows_per_second = {}, .batch_rows = 500, .workers = {}});
  round();
  target_.release("batch copy");
  await(Stage::backfilled);
  EXPECT_THAT(target_.asked_rows(), ElementsAre(1'000, 500, 500, 500));
  EXPECT_EQ(state().step(copy_).attempts, 1) << "it was not interrupted";
}

TEST_F(PaceOfReconcilerTest, ARowThatCannotBeChangedIsPassedAlsoBelowTheSmallestBatch) {
  target_.set_table(20);
  reach_first_batch();
  set_pace({.rows_per_second = {}, .batch_rows = 5, .workers = {}});
  round();
  ports::TargetError error{ErrorCode::invalid_argument, {}, {}};
  error.failure.sqlstate = "22012";
  target_.fail_next("batch copy", error, 30, test::FakeTarget::Effect::rolled_back);
  target_.release("batch copy");
  await(Stage::backfilled);
  EXPECT_LE(target_.calls("batch copy"), 12) << "never the same batch for ever";
  EXPECT_GT(target_.calls("isolate copy"), 0);
}

TEST_F(PaceOfReconcilerTest, TheRunningBackfillIsHeldToItsRateUntilThatIsLifted) {
  reach_first_batch();
  set_pace({.rows_per_second = 40, .batch_rows = {}, .workers = {}});
  round();
  target_.release("batch copy");
  round();
  EXPECT_EQ(target_.calls("batch copy"), 1) << "25 seconds ahead of its time";
  set_pace({.rows_per_second = 40'000, .batch_rows = {}, .workers = {}});
  // The worker may reckon from when it has counted the first batch, which is later than its release.
  for (int i = 0; i < 100'000 && target_.calls("batch copy") < 2; ++i) pass(10 * kSecond);
  ASSERT_GE(target_.calls("batch copy"), 2);
  set_pace({});
  await(Stage::backfilled);
  EXPECT_EQ(state().step(copy_).attempts, 1);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500);
}

TEST_F(PaceOfReconcilerTest, APauseHoldsItSaysWhoAndOutlivesTheDaemon) {
  reach_first_batch();
  set_pace(paused());
  round();
  target_.release("batch copy");
  await_held();
  EXPECT_EQ(events<core::StepInterrupted>().back().why, "paused by ann");
  EXPECT_EQ(state().waiting.front().message, "ann has paused backfill copy");
  stop();
  start();
  round();
  pass(40 * kSecond);
  await_held();
  EXPECT_EQ(target_.calls("batch copy"), 1);
  set_pace({}, "bob");
  await(Stage::backfilled);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500) << "no row twice";
  EXPECT_THAT(events<core::BackfillPaced>(), SizeIs(2));
}

TEST_F(PaceOfReconcilerTest, APauseBeforeItBeginsHoldsItThere) {
  submit();
  set_pace(paused());
  start();
  await(Stage::backfilling);
  pass(40 * kSecond);
  await_held();
  EXPECT_EQ(target_.calls("begin copy"), 0);
  set_pace({});
  await(Stage::backfilled);
}

TEST_F(PaceOfReconcilerTest, ItIsThereFromTheFirstBatchOn) {
  submit();
  set_pace({.rows_per_second = {}, .batch_rows = 300, .workers = {}});
  start();
  await(Stage::backfilling);
  pass(40 * kSecond);
  await(Stage::backfilled);
  EXPECT_THAT(target_.asked_rows(), Each(300));
  EXPECT_THAT(target_.asked_rows(), SizeIs(9));
}

TEST_F(PaceOfReconcilerTest, WithoutABoundAllWorkersAreAtWork) {
  target_.set_parts(3);
  reach_first_batch();
  ASSERT_TRUE(target_.await_call("batch copy", 3));
  target_.release("batch copy");
  await(Stage::backfilled);
}

TEST_F(PaceOfReconcilerTest, WorkersBeyondTheBoundWaitForTheirTurn) {
  target_.set_parts(3);
  target_.hold("batch copy");
  submit();
  set_pace({.rows_per_second = {}, .batch_rows = {}, .workers = 2});
  start();
  await(Stage::backfilling);
  pass(40 * kSecond);
  ASSERT_TRUE(target_.await_call("batch copy", 2));
  round();
  EXPECT_EQ(target_.calls("batch copy"), 2);
  target_.release("batch copy");
  await(Stage::backfilled);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500);
}

TEST_F(PaceOfReconcilerTest, TheWayItHasChosenIsToldOnce) {
  reach_first_batch();
  ASSERT_THAT(events<core::BackfillBegun>(), SizeIs(1));
  EXPECT_EQ(events<core::BackfillBegun>().front().rows_total, 2500);
  EXPECT_TRUE(state().step(copy_).walk.has_value());
  set_pace(paused());
  round();
  target_.release("batch copy");
  await_held();
  set_pace({});
  await(Stage::backfilled);
  EXPECT_THAT(events<core::BackfillBegun>(), SizeIs(1));
}

TEST_F(PaceOfReconcilerTest, VacuumsOnlyWhereThePlanSays) {
  reach_backfilled();
  EXPECT_EQ(target_.calls("vacuum copy"), 0);
}

TEST_F(PaceOfReconcilerTest, VacuumsEachTimeSoManyRowsWereChanged) {
  reach_backfilled(plan_with_vacuum(1'500));
  // Batches of 1,000 (2,000 behind: a vacuum) and then the last 500, at whose end there is no window to come.
  EXPECT_EQ(target_.calls("vacuum copy"), 1);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500);
  const auto told = events<core::StepProgressed>();
  EXPECT_THAT(told.front().progress.throttle.notes,
              ElementsAre("a vacuum began after 1500 rows changed, as vacuum_every says"));
  EXPECT_THAT(told.back().progress.throttle.notes, testing::IsEmpty());
  EXPECT_THAT(log_.lines(), testing::HasSubstr("a backfill vacuumed its table"));
}

TEST_F(PaceOfReconcilerTest, AVacuumThatFailsIsLoggedAndCostsNoRow) {
  target_.fail_next("vacuum copy", ErrorCode::lock_timeout, 9);
  reach_backfilled(plan_with_vacuum(1'000));
  EXPECT_EQ(target_.calls("vacuum copy"), 2);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500);
  EXPECT_EQ(state().step(copy_).attempts, 1);
  EXPECT_THAT(log_.lines(), testing::HasSubstr("a backfill's vacuum did not run"));
}

TEST_F(PaceOfReconcilerTest, AnInterruptionReachesAVacuum) {
  target_.hold("vacuum copy");
  start();
  submit(plan_with_vacuum(1'000));
  await(Stage::backfilling);
  pass(40 * kSecond);
  ASSERT_TRUE(target_.await_call("vacuum copy"));
  set_pace(paused());
  round();
  await_held();
}

}  // namespace
}  // namespace diastole::engine
