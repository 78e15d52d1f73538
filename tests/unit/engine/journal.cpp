#include "diastole/engine/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/core/command.hpp"
#include "support/fake_plan_store.hpp"
#include "support/sample_plan.hpp"

namespace diastole::engine {
namespace {

using core::PlanState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Events = Result<std::vector<core::Event>>;

const PlanId kPlan("main.rename");

core::Plan other_plan(const std::string& name, const std::string& table) {
  core::Plan plan;
  plan.name = name;
  plan.target = TargetName("main");
  plan.id = PlanId("main." + name);
  plan.hash = "sha256-" + std::string(64, 'b');
  plan.steps.push_back(test::statement_step("column", core::Phase::expand, "ALTER TABLE x ADD COLUMN c int", ""));
  plan.steps.back().statements.front().touches = {{.relation = table}};
  return plan;
}

class JournalTest : public ::testing::Test {
 protected:
  StatePtr submit(const core::Plan& plan = test::sample_plan()) {
    const auto submitted = journal_.submit(plan, "ann");
    EXPECT_TRUE(submitted) << (submitted ? "" : submitted.error().message);
    return submitted ? submitted->state : nullptr;
  }
  Result<StatePtr> ask(const core::Command& command) {
    return journal_.transact(kPlan, [&](const PlanState& state) { return core::command(state, command); });
  }
  // Another daemon writes an event past this journal.
  void write_behind(const core::Event& event) {
    const auto next = core::evolve(store_.stored(kPlan), event, clock_.now().wall);
    ASSERT_TRUE(next);
    store_.keep(*next, std::span(&event, 1), clock_.now().wall);
  }

  test::ManualClock clock_;
  test::FakeLease lease_;
  test::CollectingLog log_;
  test::FakePlanStore store_;
  Journal journal_{store_, lease_, clock_, log_};
};

TEST_F(JournalTest, SubmissionIsStoredOnce) {
  const auto first = journal_.submit(test::sample_plan(), "ann");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->created);
  const auto again = journal_.submit(test::sample_plan(), "bob");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->state, first->state);
  EXPECT_EQ(again->state->submitted_by, "ann");
  EXPECT_THAT(store_.events_of<core::PlanSubmitted>(kPlan), SizeIs(1));
  EXPECT_EQ(store_.stored(kPlan), *first->state);
}

TEST_F(JournalTest, NameOfAnotherDocumentIsTaken) {
  submit();
  auto changed = test::sample_plan();
  changed.hash = "sha256-" + std::string(64, 'c');
  const auto refused = journal_.submit(changed, "ann");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_EQ(refused.error().path, "/plan");
}

TEST_F(JournalTest, NameStaysTakenAfterThePlanIsOver) {
  submit();
  ASSERT_TRUE(ask(core::Abort{"ann", "no"}));
  ASSERT_TRUE(journal_.transact(
      kPlan, [](const PlanState&) -> Events { return std::vector<core::Event>{core::PlanAborted{}}; }));
  auto changed = test::sample_plan();
  changed.hash = "sha256-" + std::string(64, 'c');
  EXPECT_EQ(journal_.submit(changed, "ann").error().code, ErrorCode::conflict);
  const auto same = journal_.submit(test::sample_plan(), "ann");
  ASSERT_TRUE(same);
  EXPECT_FALSE(same->created);
}

TEST_F(JournalTest, UnfinishedPlansOnOneTargetShareNoTable) {
  submit();
  const auto refused = journal_.submit(other_plan("second", "users"), "ann");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("main.rename"));
  EXPECT_THAT(refused.error().message, HasSubstr("users"));
  EXPECT_TRUE(journal_.submit(other_plan("third", "orders"), "ann"));
  auto elsewhere = other_plan("fourth", "users");
  elsewhere.target = TargetName("reports");
  EXPECT_TRUE(journal_.submit(elsewhere, "ann"));

  ASSERT_TRUE(ask(core::Abort{"ann", "no"}));
  ASSERT_TRUE(journal_.transact(
      kPlan, [](const PlanState&) -> Events { return std::vector<core::Event>{core::PlanAborted{}}; }));
  EXPECT_TRUE(journal_.submit(other_plan("second", "users"), "ann")) << "the first is over";
}

TEST_F(JournalTest, ATableThatAPlanCreatesIsItsOwnToo) {
  auto creating = other_plan("creating", "orders");
  creating.steps.front().statements.front().creates = {"lines"};
  submit(creating);
  EXPECT_EQ(journal_.submit(other_plan("second", "lines"), "ann").error().code, ErrorCode::conflict);
}

TEST_F(JournalTest, TransactRefusesWhatDoesNotFit) {
  submit();
  EXPECT_EQ(ask(core::Retry{"bob"}).error().code, ErrorCode::conflict);
  const auto impossible = journal_.transact(kPlan, [](const PlanState&) -> Events {
    return std::vector<core::Event>{core::PhaseFinished{core::Phase::expand}};
  });
  EXPECT_EQ(impossible.error().code, ErrorCode::conflict);
  EXPECT_EQ(journal_.transact(PlanId("main.none"), [](const PlanState&) -> Events { return {}; }).error().code,
            ErrorCode::not_found);
  EXPECT_EQ(store_.stored(kPlan).seq, 1);
}

TEST_F(JournalTest, NoEventsWriteNothing) {
  const auto before = submit();
  int told = 0;
  journal_.on_change([&](const core::PlanState&) { ++told; });
  const auto after = journal_.transact(kPlan, [](const PlanState&) -> Events { return std::vector<core::Event>{}; });
  ASSERT_TRUE(after);
  EXPECT_EQ(*after, before);
  EXPECT_EQ(told, 0);
}

TEST_F(JournalTest, ListenersHearOfEveryAppendThatSucceeds) {
  int told = 0;
  journal_.on_change([&](const core::PlanState&) { ++told; });
  journal_.on_change([&](const core::PlanState&) { told += 10; });
  submit();
  EXPECT_EQ(told, 11);
  ASSERT_TRUE(ask(core::Pause{"bob"}));
  EXPECT_EQ(told, 22);
  store_.set_away(true);
  EXPECT_FALSE(ask(core::Resume{"bob"}));
  EXPECT_EQ(told, 22);
}

TEST_F(JournalTest, UnavailableStoreChangesNothingAndUnfinishedPlansStayReadable) {
  const auto before = submit();
  store_.set_away(true);
  EXPECT_EQ(ask(core::Pause{"bob"}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(*journal_.get(kPlan), before);
  EXPECT_THAT(*journal_.unfinished(), ElementsAre(before));
  EXPECT_EQ(journal_.get(PlanId("main.other")).error().code, ErrorCode::unavailable);
  EXPECT_EQ(journal_.list().error().code, ErrorCode::unavailable);
  EXPECT_EQ(journal_.submit(other_plan("second", "orders"), "ann").error().code, ErrorCode::unavailable);
  store_.set_away(false);
  ASSERT_TRUE(ask(core::Pause{"bob"}));
  EXPECT_EQ((*journal_.get(kPlan))->condition, core::Condition::paused);
}

TEST_F(JournalTest, UnknownOutcomeIsReadFromTheStore) {
  submit();
  store_.lose_next_answer();
  EXPECT_EQ(ask(core::Pause{"bob"}).error().code, ErrorCode::outcome_unknown);
  const auto loads = store_.loads();
  const auto state = journal_.get(kPlan);
  ASSERT_TRUE(state);
  EXPECT_EQ((*state)->condition, core::Condition::paused) << "it had been committed";
  EXPECT_EQ(store_.loads(), loads + 1);
  EXPECT_EQ(*journal_.get(kPlan), *state) << "and is remembered again";
  EXPECT_EQ(store_.loads(), loads + 1);
  EXPECT_TRUE(ask(core::Resume{"bob"}));
}

TEST_F(JournalTest, SubmissionThatWasNeverCommittedIsForgotten) {
  store_.interfere([](const PlanState&, auto) { return Result<void>(fail(ErrorCode::outcome_unknown, "lost")); });
  EXPECT_EQ(journal_.submit(test::sample_plan(), "ann").error().code, ErrorCode::outcome_unknown);
  store_.interfere({});
  const auto plans = journal_.unfinished();
  ASSERT_TRUE(plans) << plans.error().message;
  EXPECT_THAT(*plans, IsEmpty());
  const auto loads = store_.loads();
  EXPECT_TRUE(journal_.unfinished());
  EXPECT_EQ(store_.loads(), loads) << "nor asked for again";
  EXPECT_TRUE(journal_.submit(other_plan("second", "users"), "ann")) << "nothing is in its way";
}

TEST_F(JournalTest, SubmissionWhoseAnswerWasLostIsThePlan) {
  store_.lose_next_answer();
  EXPECT_EQ(journal_.submit(test::sample_plan(), "ann").error().code, ErrorCode::outcome_unknown);
  EXPECT_THAT(*journal_.unfinished(), SizeIs(1));
  const auto again = journal_.submit(test::sample_plan(), "ann");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->created);
}

TEST_F(JournalTest, FailingGuardStopsTheAppend) {
  submit();
  const auto guarded = journal_.transact(
      kPlan, [](const PlanState&) -> Events { return std::vector<core::Event>{core::PlanPaused{"bob"}}; },
      [] { return Result<void>(fail(ErrorCode::conflict, "the gate closed")); });
  ASSERT_FALSE(guarded);
  EXPECT_EQ(guarded.error().message, "the gate closed");
  EXPECT_EQ(store_.stored(kPlan).seq, 1);
  EXPECT_EQ((*journal_.get(kPlan))->condition, core::Condition::active);
}

TEST_F(JournalTest, WithoutALeaseNothingIsWritten) {
  submit();
  lease_.set(Epoch{0});
  EXPECT_EQ(ask(core::Pause{"bob"}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(journal_.submit(other_plan("second", "orders"), "ann").error().code, ErrorCode::unavailable);
  EXPECT_EQ(store_.stored(kPlan).seq, 1);
}

TEST_F(JournalTest, FencedAppendIsRefusedAndReadAnew) {
  submit();
  store_.set_epoch(Epoch{2});
  write_behind(core::PlanPaused{"the other daemon"});
  EXPECT_EQ(ask(core::Abort{"bob", "no"}).error().code, ErrorCode::conflict) << "it has moved on";
  EXPECT_EQ((*journal_.get(kPlan))->condition, core::Condition::paused);
  EXPECT_EQ(ask(core::Resume{"bob"}).error().code, ErrorCode::fenced);
}

TEST_F(JournalTest, LoadShowsWhatAnotherDaemonWrote) {
  submit();
  submit(other_plan("second", "orders"));
  write_behind(core::AbortRequested{"the other daemon", "no"});
  write_behind(core::PlanAborted{});
  EXPECT_THAT(*journal_.unfinished(), SizeIs(2)) << "it cannot know yet";
  lease_.set(Epoch{3});
  ASSERT_TRUE(journal_.load());
  const auto plans = journal_.unfinished();
  ASSERT_TRUE(plans);
  ASSERT_THAT(*plans, SizeIs(1));
  EXPECT_EQ(plans->front()->plan.id, PlanId("main.second"));
  EXPECT_EQ((*journal_.get(kPlan))->stage, core::Stage::aborted);
  EXPECT_THAT(*journal_.list(), SizeIs(2));
}

TEST_F(JournalTest, LoadThatFailsKeepsWhatWasKnown) {
  submit();
  store_.set_away(true);
  EXPECT_EQ(journal_.load().error().code, ErrorCode::unavailable);
  EXPECT_THAT(*journal_.unfinished(), SizeIs(1));
}

}  // namespace
}  // namespace diastole::engine
