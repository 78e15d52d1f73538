// A shell that has lost its mind: any event at any time. evolve has to stay the guard of what may be recorded, whatever
// decide, a bug or a second daemon come up with, and decide has to find its way in every state that evolve lets happen.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "model/exploration.hpp"
#include "model/plan_world.hpp"
#include "support/sample_plan.hpp"

namespace diastole::test {
namespace {

using namespace core;

constexpr auto kOver = "a plan that is over stays as it is";
constexpr auto kBegin = "a phase begins in its turn, active, approved, and contract behind an open gate";
constexpr auto kStart = "a step starts in its turn, active, and never again once it is there";
constexpr auto kUndo =
    "an undo starts only in an abort, or of contract when the gate has fallen back, backwards, for what is there";
constexpr auto kGate = "the gate's acts come in turn, active, approved, not held, and contract after them";
constexpr auto kAbort = "an abort is accepted only while nothing has been destroyed";
constexpr auto kEnds = "completed has every step, aborted none";
constexpr auto kOwn = "a step's event changes that step only";
constexpr auto kCounted = "each event counts once and is dated";
constexpr auto kPossible = "decide proposes only what evolve accepts";
constexpr auto kOneMoves = "one step at most is in motion";
constexpr auto kWayOn = "there is a way on";

constexpr WallTime kAt{Milliseconds{5'000}};
const Now kNow{kAt, MonoTime{Milliseconds{1'000'000}}};

class AnyEvent {
 public:
  explicit AnyEvent(Plan plan) : plan_(std::move(plan)), events_(any_event(plan_)) {}

  const Exploration& explore() {
    paths_.run(pack(new_world(plan_)), [this](Key key) { return moves(unpack(plan_, key).plan); });
    const auto over = [this](Key key) { return terminal(unpack(plan_, key).plan.stage); };
    paths_.require_way(kWayOn, [&](Key key) { return !over(key); }, over);
    return paths_;
  }

 private:
  void require(bool holds, const char* invariant, const std::string& how) {
    if (!holds) paths_.broken(invariant, how);
  }

  std::vector<Move> moves(const PlanState& state) {
    std::vector<Move> out;
    for (const auto& event : events_) {
      const auto next = evolve(state, event, kAt);
      if (!next) continue;
      check(state, event, *next);
      World world = new_world(plan_);
      world.plan = *next;
      out.push_back({describe(event), pack(world)});
    }
    decide_from(state);
    return out;
  }

  void check(const PlanState& before, const Event& event, const PlanState& after) {
    const auto how = describe(event);
    require(!terminal(before.stage), kOver, how);
    require(after.seq == before.seq + 1 && after.changed_at == kAt, kCounted, how);
    if (const auto* phase = std::get_if<PhaseStarted>(&event)) {
      const bool approved = before.approvals_given(phase->phase) >= plan_.approvals_needed(phase->phase);
      const bool open = phase->phase != Phase::contract || phase->gate_open;
      const bool earlier_done = done_before(before, phase->phase);
      require(before.condition == Condition::active && approved && open && earlier_done, kBegin, how);
    }
    check_gate(before, event, after, how);
    if (const auto* start = std::get_if<StepStarted>(&event)) check_start(before, *plan_.index_of(start->step), how);
    if (const auto* undo = std::get_if<UndoStarted>(&event)) check_undo(before, *plan_.index_of(undo->step), how);
    if (std::holds_alternative<AbortRequested>(event)) {
      const auto& drop = before.steps[kDrop];
      require(drop.status != StepStatus::running && drop.applied == Applied::none, kAbort, how);
    }
    int moving = 0;
    for (std::size_t i = 0; i < after.steps.size(); ++i) {
      const auto status = after.steps[i].status;
      moving += status == StepStatus::running || status == StepStatus::undoing ? 1 : 0;
      require(after.stage != Stage::completed || status == StepStatus::done, kEnds, how);
      require(after.stage != Stage::aborted || after.steps[i].applied == Applied::none, kEnds, how);
      const auto* step = step_of(event);
      if (step && plan_.steps[i].id != *step) require(after.steps[i] == before.steps[i], kOwn, how);
    }
    require(moving <= 1, kOneMoves, how);
  }

  void check_gate(const PlanState& before, const Event& event, const PlanState& after, const std::string& how) {
    if (const auto* phase = std::get_if<PhaseStarted>(&event); phase && phase->phase == Phase::contract)
      require(before.gate.stage == GateStage::drained, kGate, how);
    if (const auto* fencing = std::get_if<GateFencing>(&event)) {
      const bool approved = before.approvals_given(Phase::contract) >= plan_.approvals_needed(Phase::contract);
      require(fencing->gate_open && approved && !before.gate.hold && done_before(before, Phase::contract), kGate, how);
    }
    if (before.gate.stage == after.gate.stage) return;
    const bool down = after.gate.stage == GateStage::restoring;
    const bool next = static_cast<int>(after.gate.stage) == static_cast<int>(before.gate.stage) + 1;
    const bool closed = before.gate.stage == GateStage::restoring && after.gate.stage == GateStage::closed;
    require(down || closed || (next && before.condition == Condition::active), kGate, how);
    require(before.steps[kDrop].applied == Applied::none, kGate, how);
    require(!closed || after.gate.epoch == before.gate.epoch + 1, kGate, how);
  }

  [[nodiscard]] bool done_before(const PlanState& state, Phase phase) const {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      if (plan_.steps[i].phase < phase && state.steps[i].status != StepStatus::done) return false;
    }
    return true;
  }

  void check_start(const PlanState& before, std::size_t index, const std::string& how) {
    const auto& step = before.steps[index];
    require(
        before.condition == Condition::active && step.status == StepStatus::pending && step.applied != Applied::full,
        kStart, how);
    for (std::size_t i = 0; i < index; ++i) require(before.steps[i].status == StepStatus::done, kStart, how);
  }

  void check_undo(const PlanState& before, std::size_t index, const std::string& how) {
    const bool fell_back = before.gate.stage == GateStage::restoring && plan_.steps[index].phase == Phase::contract;
    require((before.stage == Stage::aborting || fell_back) && before.condition == Condition::active, kUndo, how);
    require(before.steps[index].applied != Applied::none, kUndo, how);
    for (std::size_t i = index + 1; i < before.steps.size(); ++i) {
      const bool stays = before.stage != Stage::aborting && plan_.steps[i].undo.empty();
      require(before.steps[i].applied == Applied::none || stays, kUndo, how);
    }
  }

  void decide_from(const PlanState& state) {
    Observation seen;
    seen.gate.state = GateState::open;
    seen.needs[plan_.steps[kCopy].id].state = GateState::open;
    for (const auto phase : kPhases) {
      seen.preflight = Preflight{phase, kNow.mono, {}};
      const auto decision = decide(state, seen, kNow);
      const auto next = evolve(state, decision.events, kAt);
      require(next.has_value(), kPossible, next ? "" : next.error().message);
    }
  }

  Plan plan_;
  std::vector<Event> events_;
  Exploration paths_;
};

TEST(AnyEventTest, EvolveGuardsEveryStateItLetsHappen) {
  AnyEvent shell(sample_plan(1));
  const auto& paths = shell.explore();
  std::cout << paths.states() << " states, " << paths.transitions() << " transitions\n";
  EXPECT_GT(paths.states(), 700U);
  for (const auto& [invariant, how] : paths.violations()) ADD_FAILURE() << invariant << how;
}

TEST(AnyEventTest, NothingButASubmissionBeginsAPlan) {
  const auto plan = sample_plan();
  for (const auto& event : any_event(plan)) {
    const auto next = evolve(PlanState{}, event, kAt);
    ASSERT_EQ(next.has_value(), std::holds_alternative<PlanSubmitted>(event)) << describe(event);
    if (next) {
      EXPECT_EQ(next->seq, 1);
      EXPECT_EQ(next->stage, Stage::accepted);
      EXPECT_EQ(next->plan, plan);
    } else {
      EXPECT_EQ(next.error().code, ErrorCode::conflict);
    }
  }
}

}  // namespace
}  // namespace diastole::test
