// Details of evolve and decide. What must hold in every state is tests/model's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/core/command.hpp"
#include "support/sample_plan.hpp"

namespace diastole::core {
namespace {

using test::sample_plan;

WallTime at(std::int64_t ms) {
  return WallTime{Milliseconds{ms}};
}
const Now kNow{at(50'000), MonoTime{Milliseconds{1'000'000}}};

PlanState after(const PlanState& state, const Event& event, std::int64_t ms = 2'000) {
  auto next = evolve(state, event, at(ms));
  EXPECT_TRUE(next.has_value()) << next.error().message;
  return next.value_or(state);
}

PlanState submitted(Plan plan = sample_plan()) {
  return after({}, PlanSubmitted{std::move(plan), "ann"}, 1'000);
}

PlanState expanding() {
  return after(submitted(), PhaseStarted{Phase::expand});
}

Reason because(ReasonKind kind, std::string object = {}) {
  Reason reason;
  reason.kind = kind;
  reason.object = std::move(object);
  return reason;
}

Observation clean(Phase phase) {
  Observation seen;
  seen.preflight = Preflight{phase, kNow.mono, {}};
  return seen;
}

template <typename T>
bool has(const Decision& decision) {
  return std::ranges::any_of(decision.events, [](const Event& event) { return std::holds_alternative<T>(event); });
}

TEST(EvolveTest, SubmissionMakesTheState) {
  const auto state = submitted();
  EXPECT_EQ(state.seq, 1);
  EXPECT_EQ(state.plan, sample_plan());
  EXPECT_EQ(state.submitted_by, "ann");
  EXPECT_EQ(state.submitted_at, at(1'000));
  EXPECT_EQ(state.changed_at, at(1'000));
  EXPECT_EQ(state.steps, std::vector<StepState>(6));
  EXPECT_EQ(state.state_text(), "accepted");
}

TEST(EvolveTest, StepsKeepTheirTimesAndAttempts) {
  const StepId id("column");
  auto state = after(expanding(), StepStarted{id, 1}, 3'000);
  EXPECT_EQ(state.step(id).started, at(3'000));
  state = after(
      state,
      StepFailed{
          id, Applied::none, {.sqlstate = "57014", .message = "canceled", .detail = {}, .hint = {}, .blockers = {}}},
      4'000);
  EXPECT_EQ(state.condition, Condition::failed);
  EXPECT_EQ(state.state_text(), "failed");
  EXPECT_EQ(state.step(id).failure->sqlstate, "57014");
  EXPECT_FALSE(state.step(id).finished.has_value());
  state = after(state, RetryRequested{"bob"}, 5'000);
  EXPECT_EQ(state.step(id).status, StepStatus::pending);
  EXPECT_EQ(state.condition, Condition::active);
  state = after(state, StepStarted{id, 2}, 6'000);
  EXPECT_EQ(state.step(id).attempts, 2);
  EXPECT_EQ(state.step(id).started, at(3'000)) << "the first start counts";
  EXPECT_FALSE(state.step(id).failure.has_value());
  state = after(state, StepFinished{id, 7, Milliseconds{250}, "done before a crash"}, 7'000);
  const auto& step = state.step(id);
  EXPECT_EQ(step.status, StepStatus::done);
  EXPECT_EQ(step.applied, Applied::full);
  EXPECT_EQ(step.finished, at(7'000));
  EXPECT_EQ(step.duration, Milliseconds{250});
  EXPECT_EQ(step.progress.rows_changed, 7);
  EXPECT_EQ(step.note, "done before a crash");
  EXPECT_EQ(state.changed_at, at(7'000));
  EXPECT_EQ(state.seq, 7);
}

TEST(EvolveTest, WhatIsAppliedIsNeverForgotten) {
  const StepId id("index");
  auto state = after(after(expanding(), StepStarted{StepId("column"), 1}), StepFinished{StepId("column"), 0, {}, ""});
  state = after(after(state, StepStarted{id, 1}), StepInterrupted{id, Applied::partial, "stop"});
  EXPECT_EQ(state.step(id).applied, Applied::partial);
  state = after(after(state, StepStarted{id, 2}), StepInterrupted{id, Applied::none, "stop"});
  EXPECT_EQ(state.step(id).applied, Applied::partial);
  EXPECT_EQ(state.step(id).status, StepStatus::pending);
  state = after(after(state, StepStarted{id, 3}), StepInterrupted{id, Applied::full, "the ledger has it"});
  EXPECT_EQ(state.step(id).status, StepStatus::done) << "or it would run twice";
}

TEST(EvolveTest, ProgressIsKept) {
  const StepId id("column");
  Progress progress;
  progress.rows = 500;
  progress.rows_changed = 400;
  auto state = after(after(expanding(), StepStarted{id, 1}), StepProgressed{id, progress});
  EXPECT_EQ(state.step(id).progress, progress);
  state = after(state, StepFinished{id, 100, {}, ""});
  EXPECT_EQ(state.step(id).progress.rows_changed, 400) << "the greater count";
}

TEST(EvolveTest, ApprovalsAreCountedByPhaseAndPerson) {
  auto state = after(submitted(sample_plan(1)), PhaseApproved{Phase::contract, "bob", "looks good"}, 9'000);
  state = after(state, PhaseApproved{Phase::contract, "carol", ""});
  EXPECT_EQ(state.approvals_given(Phase::contract), 2);
  EXPECT_EQ(state.approvals_given(Phase::expand), 0);
  EXPECT_EQ(state.approvals[0], (Approval{Phase::contract, "bob", "looks good", at(9'000)}));
  EXPECT_FALSE(evolve(state, PhaseStarted{Phase::expand}, at(1)).has_value());
  state = after(state, PhaseApproved{Phase::expand, "bob", ""});
  EXPECT_TRUE(evolve(state, PhaseStarted{Phase::expand}, at(1)).has_value());
}

TEST(EvolveTest, AbortKeepsItsReasonAndAFailureUnderItFailsNothing) {
  const StepId id("index");
  auto state = after(after(expanding(), StepStarted{StepId("column"), 1}), StepFinished{StepId("column"), 0, {}, ""});
  state = after(after(state, StepStarted{id, 1}), AbortRequested{"bob", "wrong column"});
  EXPECT_EQ(state.abort_reason, "wrong column");
  EXPECT_EQ(state.stage, Stage::aborting);
  state = after(state, StepFailed{id, Applied::partial, {}});
  EXPECT_EQ(state.condition, Condition::active);
  EXPECT_FALSE(evolve(state, UndoStarted{StepId("column")}, at(1)).has_value()) << "index comes first";
  state = after(after(state, UndoStarted{id}), UndoFinished{id, "dropped"});
  EXPECT_EQ(state.step(id).status, StepStatus::undone);
  EXPECT_EQ(state.step(id).note, "dropped");
  EXPECT_FALSE(evolve(state, PlanAborted{}, at(1)).has_value());
  state = after(after(state, UndoStarted{StepId("column")}), UndoFinished{StepId("column"), ""});
  EXPECT_EQ(after(state, PlanAborted{}).stage, Stage::aborted);
}

TEST(EvolveTest, TheEndClearsWhatWasWaitedFor) {
  auto state = after(submitted(), PlanWaits{{because(ReasonKind::retrying)}});
  EXPECT_EQ(state.waiting.size(), 1U);
  state = after(after(state, AbortRequested{"bob", ""}), PlanAborted{});
  EXPECT_TRUE(state.waiting.empty());
}

TEST(EvolveTest, SeveralEventsAreAllOrNothing) {
  const std::vector<Event> events{PhaseStarted{Phase::expand}, PhaseFinished{Phase::expand}};
  const auto next = evolve(submitted(), events, at(1));
  ASSERT_FALSE(next.has_value());
  EXPECT_EQ(next.error().message,
            "phase_finished does not fit a plan that is expanding (active): step column is pending");
}

TEST(EvolveTest, UnknownStepsAreNamed) {
  const auto next = evolve(expanding(), StepStarted{StepId("nothing"), 1}, at(1));
  ASSERT_FALSE(next.has_value());
  EXPECT_EQ(next.error().message,
            "step_started of nothing does not fit a plan that is expanding (active): the plan has no step nothing");
}

TEST(DecideTest, PlanWaitsOnlyWhenTheObstaclesChange) {
  auto state = submitted();
  auto seen = clean(Phase::expand);
  auto transaction = because(ReasonKind::long_transaction);
  transaction.pid = 7;
  seen.preflight->reasons = {transaction};
  auto decision = decide(state, seen, kNow);
  ASSERT_EQ(decision.events, (std::vector<Event>{PlanWaits{{transaction}}}));
  state = after(state, decision.events[0]);

  EXPECT_TRUE(decide(state, seen, kNow).events.empty());
  seen.preflight->reasons[0].age = Milliseconds{9'000};
  seen.preflight->reasons[0].message = "older by now";
  decision = decide(state, seen, kNow);
  EXPECT_TRUE(decision.events.empty()) << "its age is no change";
  EXPECT_EQ(decision.waiting[0].age, Milliseconds{9'000});

  seen.preflight->reasons[0].pid = 8;
  EXPECT_TRUE(has<PlanWaits>(decide(state, seen, kNow)));
  seen.preflight->reasons.clear();
  decision = decide(state, seen, kNow);
  EXPECT_EQ(decision.events, (std::vector<Event>{PlanWaits{}, PhaseStarted{Phase::expand}}));
}

TEST(DecideTest, AFailedVerificationIsAskedAgainAfterAMinute) {
  const auto state = submitted(sample_plan());
  auto seen = clean(Phase::expand);
  Reason left;
  left.kind = ReasonKind::verification_failed;
  seen.preflight->reasons = {left};
  seen.preflight->at -= kVerificationValid - Milliseconds{1};
  auto decision = decide(state, seen, kNow);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(decision.action));
  EXPECT_EQ(decision.waiting, seen.preflight->reasons);
  seen.preflight->at -= Milliseconds{1};
  decision = decide(state, seen, kNow);
  EXPECT_TRUE(std::holds_alternative<RunPreflight>(decision.action));
  EXPECT_EQ(decision.waiting, seen.preflight->reasons) << "still in sight";
}

TEST(DecideTest, WhatThePreflightFoundStaysInSightWhileTheNextOneRuns) {
  auto seen = clean(Phase::expand);
  seen.preflight->reasons = {because(ReasonKind::invalid_index, "users_b")};
  const auto state = after(submitted(), PlanWaits{seen.preflight->reasons});
  seen.preflight->at -= kPreflightValid;
  const auto decision = decide(state, seen, kNow);
  EXPECT_TRUE(std::holds_alternative<RunPreflight>(decision.action));
  EXPECT_TRUE(decision.events.empty());
}

TEST(DecideTest, APhaseWithoutStepsPassesWithoutApprovalOrGate) {
  auto plan = sample_plan(1);
  plan.steps.erase(plan.steps.begin(), plan.steps.begin() + 2);
  const auto state = submitted(plan);
  const auto decision = decide(state, {}, kNow);
  EXPECT_EQ(decision.events, (std::vector<Event>{PhaseStarted{Phase::expand}, PhaseFinished{Phase::expand}}));
  EXPECT_EQ(evolve(state, decision.events, at(1))->stage, Stage::expanded);
}

TEST(DecideTest, AllThatStandsInTheWayOfContractIsNamedAtOnce) {
  auto plan = sample_plan();
  plan.steps.erase(plan.steps.begin(), plan.steps.begin() + 3);
  auto state = submitted(plan);
  for (const auto phase : {Phase::expand, Phase::backfill})
    state = after(after(state, PhaseStarted{phase}), PhaseFinished{phase});
  Observation seen;
  seen.gate.reasons = {because(ReasonKind::instance_old), because(ReasonKind::too_few_instances)};
  const auto decision = decide(state, seen, kNow);
  ASSERT_EQ(decision.waiting.size(), 3U);
  EXPECT_EQ(decision.waiting[0].kind, ReasonKind::approval_missing);
  EXPECT_EQ(decision.waiting[0].count, 1);
  EXPECT_TRUE(decision.waiting[0].clears.contains("/v1/plans/main.rename/approvals"));
  EXPECT_EQ(decision.waiting[1].kind, ReasonKind::instance_old);
}

TEST(DecideTest, AttemptsCountUp) {
  const StepId id("column");
  auto state = expanding();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto decision = decide(state, clean(Phase::expand), kNow);
    ASSERT_EQ(decision.events, (std::vector<Event>{StepStarted{id, attempt}}));
    state = after(after(state, decision.events[0]), StepInterrupted{id, Applied::none, "stop"});
  }
}

TEST(DecideTest, AStepWithoutUndoIsRecordedWithItsReason) {
  auto plan = sample_plan();
  plan.steps.resize(1);
  plan.steps[0].undo.clear();
  plan.steps[0].no_undo = "the column is harmless";
  const StepId id("column");
  auto state = after(submitted(plan), PhaseStarted{Phase::expand});
  state = after(after(after(state, StepStarted{id, 1}), StepFinished{id, 0, {}, ""}), AbortRequested{"bob", ""});
  const auto decision = decide(state, {}, kNow);
  EXPECT_EQ(decision.events, (std::vector<Event>{UndoStarted{id}, UndoFinished{id, "the column is harmless"}}));
}

TEST(DecideTest, NothingAfterTheEnd) {
  auto state = after(after(submitted(), AbortRequested{"bob", ""}), PlanAborted{});
  const auto decision = decide(state, clean(Phase::expand), kNow);
  EXPECT_TRUE(decision.events.empty());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(decision.action));
}

// A plan whose backfill `copy` comes next.
PlanState backfilling() {
  auto plan = sample_plan();
  plan.steps.erase(plan.steps.begin(), plan.steps.begin() + 2);
  auto state = after(after(submitted(plan), PhaseStarted{Phase::expand}), PhaseFinished{Phase::expand});
  return after(state, PhaseStarted{Phase::backfill});
}

Pace paused() {
  Pace pace;
  pace.paused = true;
  return pace;
}

Observation needs_hold() {
  auto seen = clean(Phase::backfill);
  seen.needs[StepId("copy")].state = GateState::open;
  return seen;
}

TEST(PaceTest, IsKeptWithWhoSetItWhateverBecomesOfTheStep) {
  const StepId id("copy");
  Pace pace;
  pace.rows_per_second = 500;
  auto state = after(submitted(), BackfillPaced{id, pace, "ann"});
  EXPECT_EQ(state.step(id).pace, pace);
  EXPECT_EQ(state.step(id).paced_by, "ann");
  state = after(backfilling(), StepStarted{id, 1});
  state = after(state, BackfillPaced{id, pace, "bob"});
  EXPECT_EQ(state.step(id).status, StepStatus::running);
  state = after(state, StepInterrupted{id, Applied::partial, "stop"});
  state = after(state, StepStarted{id, 2});
  EXPECT_EQ(state.step(id).pace, pace);
  EXPECT_EQ(state.step(id).paced_by, "bob");
  EXPECT_EQ(after(state, BackfillPaced{id, {}, "bob"}).step(id).pace, Pace{});
}

TEST(PaceTest, IsOnlyForABackfillThatIsNotOver) {
  const StepId id("copy");
  const auto refused = [](const PlanState& state, const StepId& step) {
    EXPECT_FALSE(evolve(state, BackfillPaced{step, paused(), "ann"}, at(1)).has_value());
    const auto events = command(state, SetPace{step, paused(), "ann"});
    return events ? std::string("accepted") : events.error().message;
  };
  EXPECT_EQ(refused(submitted(), StepId("column")),
            "cannot set the pace of plan main.rename, which is accepted: step column is no backfill");
  EXPECT_EQ(refused(submitted(), StepId("nothing")),
            "cannot set the pace of plan main.rename, which is accepted: it has no step nothing");
  const auto done = after(after(backfilling(), StepStarted{id, 1}), StepFinished{id, 1, {}, ""});
  EXPECT_EQ(refused(done, id), "cannot set the pace of plan main.rename, which is backfilling: step copy is done");
  const auto aborting = after(submitted(), AbortRequested{"bob", ""});
  EXPECT_EQ(refused(aborting, id), "cannot set the pace of plan main.rename, which is aborting: it is being aborted");
  EXPECT_EQ(refused(after(aborting, PlanAborted{}), id),
            "cannot set the pace of plan main.rename, which is aborted: it is over");
}

TEST(PaceTest, TheSameAgainIsNoEvent) {
  const StepId id("copy");
  const auto state = submitted();
  EXPECT_EQ(*command(state, SetPace{id, paused(), "ann"}), (std::vector<Event>{BackfillPaced{id, paused(), "ann"}}));
  EXPECT_EQ(*command(after(state, BackfillPaced{id, paused(), "ann"}), SetPace{id, paused(), "bob"}),
            std::vector<Event>{});
}

TEST(PaceTest, APausedBackfillDoesNotBeginAndSaysWhy) {
  const StepId id("copy");
  auto state = after(backfilling(), BackfillPaced{id, paused(), "ann"});
  auto decision = decide(state, needs_hold(), kNow);
  EXPECT_FALSE(has<StepStarted>(decision));
  ASSERT_EQ(decision.waiting.size(), 1U);
  EXPECT_EQ(decision.waiting[0].kind, ReasonKind::manual);
  EXPECT_EQ(decision.waiting[0].object, "copy");
  EXPECT_EQ(decision.waiting[0].message, "ann has paused backfill copy");
  EXPECT_EQ(decision.waiting[0].clears, "diastole pace main.rename --step copy --resume");

  auto closed = needs_hold();
  closed.needs[id] = {};
  closed.needs[id].reasons = {because(ReasonKind::instance_old)};
  EXPECT_EQ(decide(state, closed, kNow).waiting.size(), 2U) << "all that is in the way";

  decision = decide(after(state, BackfillPaced{id, {}, "ann"}), needs_hold(), kNow);
  EXPECT_TRUE(has<StepStarted>(decision));
}

TEST(BackfillBegunTest, TheWalkIsKept) {
  const StepId id("copy");
  Walk walk{.by = WalkBy::blocks, .key = {}, .strides = 8, .workers = 2, .because = {"it is quick"}};
  auto state = after(after(backfilling(), StepStarted{id, 1}), BackfillBegun{id, walk, 70});
  EXPECT_EQ(state.step(id).walk, walk);
  EXPECT_EQ(state.step(id).progress.rows_total, 70);
  EXPECT_FALSE(evolve(backfilling(), BackfillBegun{id, walk, 70}, at(1)).has_value()) << "it does not run";
}

TEST(NamesTest, EveryEnumeratorReadsBack) {
  for (const auto stage : kStages) EXPECT_EQ(stage_from(to_string(stage)), stage);
  for (const auto phase : kPhases) EXPECT_EQ(phase_from(to_string(phase)), phase);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(condition_from(to_string(static_cast<Condition>(i))), static_cast<Condition>(i));
    EXPECT_EQ(applied_from(to_string(static_cast<Applied>(i))), static_cast<Applied>(i));
  }
  for (int i = 0; i < 7; ++i)
    EXPECT_EQ(step_status_from(to_string(static_cast<StepStatus>(i))), static_cast<StepStatus>(i));
  for (int i = 0; i < 9; ++i) EXPECT_EQ(lock_mode_from(to_string(static_cast<LockMode>(i))), static_cast<LockMode>(i));
  for (int i = 0; i <= static_cast<int>(ReasonKind::retrying); ++i) {
    EXPECT_EQ(reason_kind_from(to_string(static_cast<ReasonKind>(i))), static_cast<ReasonKind>(i));
  }
  EXPECT_EQ(stage_from("nonsense"), std::nullopt);
}

}  // namespace
}  // namespace diastole::core
