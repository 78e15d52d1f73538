// Which event is possible when, and what it makes of the state. The one transition function.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "diastole/core/machine.hpp"
#include "names.hpp"
#include "stages.hpp"

namespace diastole::core {
namespace {

constexpr Names<Stage, 9> kStageNames{{{Stage::accepted, "accepted"},
                                       {Stage::expanding, "expanding"},
                                       {Stage::expanded, "expanded"},
                                       {Stage::backfilling, "backfilling"},
                                       {Stage::backfilled, "backfilled"},
                                       {Stage::contracting, "contracting"},
                                       {Stage::completed, "completed"},
                                       {Stage::aborting, "aborting"},
                                       {Stage::aborted, "aborted"}}};
constexpr Names<Condition, 3> kConditionNames{
    {{Condition::active, "active"}, {Condition::paused, "paused"}, {Condition::failed, "failed"}}};
constexpr Names<StepStatus, 7> kStepStatusNames{{{StepStatus::pending, "pending"},
                                                 {StepStatus::running, "running"},
                                                 {StepStatus::done, "done"},
                                                 {StepStatus::failed, "failed"},
                                                 {StepStatus::undoing, "undoing"},
                                                 {StepStatus::undone, "undone"},
                                                 {StepStatus::undo_failed, "undo_failed"}}};

// What a step that is neither running nor undoing is, by what of it is on the target.
StepStatus resting(Applied applied) {
  return applied == Applied::full ? StepStatus::done : StepStatus::pending;
}

// Applies one event to the state it holds; each overload returns why it cannot, or nothing.
class Transition {
 public:
  Transition(PlanState& state, WallTime at) : s_(state), at_(at) {}
  using Refusal = std::optional<std::string>;

  Refusal operator()(const PlanSubmitted& e) {
    if (s_.seq != 0) return "it was submitted before";
    s_.plan = e.plan;
    s_.steps.assign(e.plan.steps.size(), StepState{});
    s_.submitted_by = e.by;
    s_.submitted_at = at_;
    return {};
  }

  Refusal operator()(const PhaseApproved& e) {
    if (auto refusal = approvable(s_, e.phase)) return refusal;
    const bool repeated = std::ranges::any_of(
        s_.approvals, [&](const Approval& approval) { return approval.phase == e.phase && approval.by == e.by; });
    if (repeated) return fmt::format("{} has approved {} before", e.by, to_string(e.phase));
    s_.approvals.push_back({e.phase, e.by, e.note, at_});
    return {};
  }

  Refusal operator()(const PhaseStarted& e) {
    if (s_.stage != stage_before(e.phase)) return "its turn has not come";
    if (auto refusal = inactive()) return refusal;
    if (s_.plan.has(e.phase)) {
      if (s_.approvals_given(e.phase) < s_.plan.approvals_needed(e.phase)) return "approvals are missing";
      if (e.phase == Phase::contract && !e.gate_open) return "the gate is not open";
      if (e.phase == Phase::contract && s_.gate.stage != behind_gate(s_.plan))
        return fmt::format("the gate is {}", to_string(s_.gate.stage));
    }
    s_.stage = stage_during(e.phase);
    return {};
  }

  Refusal operator()(const PhaseFinished& e) {
    if (s_.stage != stage_during(e.phase)) return "it is not running";
    if (auto refusal = inactive()) return refusal;
    for (std::size_t i = 0; i < s_.steps.size(); ++i) {
      if (s_.plan.steps[i].phase == e.phase && s_.steps[i].status != StepStatus::done) {
        return fmt::format("step {} is {}", s_.plan.steps[i].id.str(), to_string(s_.steps[i].status));
      }
    }
    s_.stage = stage_after(e.phase);
    return {};
  }

  Refusal operator()(const StepStarted& e) {
    const auto index = s_.plan.index_of(e.step);
    if (!index) return unknown_step(e.step);
    if (s_.stage != stage_during(s_.plan.steps[*index].phase)) return "its phase is not running";
    if (auto refusal = inactive()) return refusal;
    auto& step = s_.steps[*index];
    if (step.status != StepStatus::pending) return fmt::format("it is {}", to_string(step.status));
    for (std::size_t i = 0; i < *index; ++i) {
      if (s_.steps[i].status != StepStatus::done) return fmt::format("step {} is not done", s_.plan.steps[i].id.str());
    }
    step.status = StepStatus::running;
    step.attempts = e.attempt;
    step.failure.reset();
    if (!step.started) step.started = at_;
    return {};
  }

  Refusal operator()(const StepProgressed& e) {
    return on_step(e.step, StepStatus::running, [&](StepState& step) { step.progress = e.progress; });
  }

  Refusal operator()(const BackfillBegun& e) {
    return on_step(e.step, StepStatus::running, [&](StepState& step) {
      step.walk = e.walk;
      step.progress.rows_total = e.rows_total;
    });
  }

  Refusal operator()(const BackfillPaced& e) {
    if (auto refusal = paceable(s_, e.step)) return refusal;
    auto& step = s_.steps[*s_.plan.index_of(e.step)];
    step.pace = e.pace;
    step.paced_by = e.by;
    return {};
  }

  Refusal operator()(const LockWaited& e) {
    const auto index = s_.plan.index_of(e.step);
    if (!index) return unknown_step(e.step);
    const auto status = s_.steps[*index].status;
    if (status != StepStatus::running && status != StepStatus::undoing)
      return fmt::format("it is {}", to_string(status));
    return {};
  }

  Refusal operator()(const StepFinished& e) {
    return on_step(e.step, StepStatus::running, [&](StepState& step) {
      step.status = StepStatus::done;
      step.applied = Applied::full;
      step.duration = e.duration;
      step.note = e.note;
      step.finished = at_;
      step.progress.rows_changed = std::max(step.progress.rows_changed, e.rows);
    });
  }

  Refusal operator()(const StepFailed& e) {
    return on_step(e.step, StepStatus::running, [&](StepState& step) {
      step.status = StepStatus::failed;
      step.applied = std::max(step.applied, e.applied);
      step.failure = e.failure;
      // Under an abort that was asked for meanwhile, the failure changes nothing: what is applied is undone.
      if (s_.stage != Stage::aborting) s_.condition = Condition::failed;
    });
  }

  Refusal operator()(const StepInterrupted& e) {
    return on_step(e.step, StepStatus::running, [&](StepState& step) {
      step.applied = std::max(step.applied, e.applied);
      step.status = resting(step.applied);  // never to run again where all of it is there
    });
  }

  Refusal operator()(const PlanPaused&) {
    if (s_.condition != Condition::active) return fmt::format("it is {}", to_string(s_.condition));
    s_.condition = Condition::paused;
    return {};
  }

  Refusal operator()(const PlanResumed&) {
    if (s_.condition != Condition::paused) return "it is not paused";
    s_.condition = Condition::active;
    return {};
  }

  Refusal operator()(const RetryRequested&) {
    if (s_.condition != Condition::failed) return "nothing of it has failed";
    for (auto& step : s_.steps) {
      if (step.status == StepStatus::failed || step.status == StepStatus::undo_failed)
        step.status = resting(step.applied);
    }
    s_.condition = Condition::active;
    return {};
  }

  Refusal operator()(const AbortRequested& e) {
    if (auto refusal = abortable(s_)) return refusal;
    s_.stage = Stage::aborting;
    s_.condition = Condition::active;
    s_.abort_reason = e.reason;
    // What could not be undone when the gate fell back is tried again.
    for (auto& step : s_.steps) {
      if (step.status == StepStatus::undo_failed) step.status = resting(step.applied);
    }
    if (s_.gate.stage != GateStage::closed) turn(GateStage::restoring);
    return {};
  }

  Refusal operator()(const UndoStarted& e) {
    const auto index = s_.plan.index_of(e.step);
    if (!index) return unknown_step(e.step);
    const bool falls_back = restoring(s_) && s_.plan.steps[*index].phase == Phase::contract;
    if (s_.stage != Stage::aborting && !falls_back) return "the plan is not being aborted";
    if (auto refusal = inactive()) return refusal;
    auto& step = s_.steps[*index];
    if (!needs_undo(step)) return "nothing of it is on the target";
    if (s_.plan.steps[*index].phase != Phase::contract && s_.gate.stage != GateStage::closed)
      return "the fence has to be lowered first";
    for (std::size_t i = 0; i < s_.steps.size(); ++i) {
      if (s_.steps[i].status == StepStatus::running)
        return fmt::format("step {} is running", s_.plan.steps[i].id.str());
      const bool stays = falls_back && s_.plan.steps[i].undo.empty();
      if (i > *index && needs_undo(s_.steps[i]) && !stays)
        return fmt::format("step {} comes first", s_.plan.steps[i].id.str());
    }
    if (step.status == StepStatus::undoing || step.status == StepStatus::undo_failed) {
      return fmt::format("it is {}", to_string(step.status));
    }
    step.status = StepStatus::undoing;
    return {};
  }

  Refusal operator()(const UndoFinished& e) {
    return on_step(e.step, StepStatus::undoing, [&](StepState& step) {
      // After a fall back it will run again.
      step.status = s_.stage == Stage::aborting ? StepStatus::undone : StepStatus::pending;
      step.applied = Applied::none;
      step.note = e.note;
      step.failure.reset();
    });
  }

  Refusal operator()(const UndoFailed& e) {
    return on_step(e.step, StepStatus::undoing, [&](StepState& step) {
      step.status = StepStatus::undo_failed;
      step.failure = e.failure;
      s_.condition = Condition::failed;
    });
  }

  Refusal operator()(const UndoInterrupted& e) {
    return on_step(e.step, StepStatus::undoing, [&](StepState& step) { step.status = resting(step.applied); });
  }

  Refusal operator()(const PlanAborted&) {
    if (s_.stage != Stage::aborting) return "the plan is not being aborted";
    if (auto refusal = inactive()) return refusal;
    if (s_.gate.stage != GateStage::closed) return "its fence is still up";
    for (std::size_t i = 0; i < s_.steps.size(); ++i) {
      if (needs_undo(s_.steps[i]) || s_.steps[i].status == StepStatus::running) {
        return fmt::format("step {} is not undone", s_.plan.steps[i].id.str());
      }
    }
    s_.stage = Stage::aborted;
    return {};
  }

  Refusal operator()(const PlanWaits& e) {
    s_.waiting = e.reasons;
    return {};
  }

  Refusal operator()(const GateFencing& e) {
    if (s_.stage != Stage::backfilled || !s_.plan.has(Phase::contract)) return "its turn has not come";
    if (auto refusal = gate_at(GateStage::closed)) return refusal;
    if (s_.approvals_given(Phase::contract) < s_.plan.approvals_needed(Phase::contract)) return "approvals are missing";
    if (s_.gate.hold) return "the gate is held";
    if (!e.gate_open) return "the gate is not open";
    s_.gate.fell_back.clear();
    turn(GateStage::fencing);
    return {};
  }

  Refusal operator()(const FenceRaised& e) {
    if (auto refusal = gate_at(GateStage::fencing)) return refusal;
    s_.gate.fenced_roles = e.roles;
    turn(GateStage::draining);
    return {};
  }

  Refusal operator()(const GateDrained&) {
    if (auto refusal = gate_at(GateStage::draining)) return refusal;
    turn(GateStage::drained);
    return {};
  }

  Refusal operator()(const QuarantineStarted&) {
    if (!quarantines(s_.plan)) return "the plan asks for no quarantine";
    if (auto refusal = gate_at(GateStage::drained)) return refusal;
    turn(GateStage::quarantining);
    return {};
  }

  Refusal operator()(const Quarantined& e) {
    if (auto refusal = gate_at(GateStage::quarantining)) return refusal;
    s_.gate.quarantined = e.names;
    turn(GateStage::quarantined);
    return {};
  }

  Refusal operator()(const GateFellBack& e) {
    if (s_.stage != Stage::backfilled && s_.stage != Stage::contracting) return "its turn has not come";
    if (s_.gate.stage == GateStage::closed || s_.gate.stage == GateStage::restoring)
      return fmt::format("the gate is {}", to_string(s_.gate.stage));
    if (s_.past_return()) return "contract has begun to destroy";
    if (std::ranges::any_of(s_.steps, [](const StepState& step) { return step.status == StepStatus::running; }))
      return "a step is running";
    s_.gate.fell_back = e.reasons;
    s_.stage = Stage::backfilled;
    turn(GateStage::restoring);
    return {};
  }

  Refusal operator()(const FenceLowered&) {
    if (s_.gate.stage != GateStage::restoring) return fmt::format("the gate is {}", to_string(s_.gate.stage));
    if (s_.condition == Condition::failed) return "the plan is failed";
    if (to_undo_before_lowering(s_)) return "steps of contract are not undone";
    s_.gate.fenced_roles.clear();
    s_.gate.quarantined.clear();
    ++s_.gate.epoch;
    turn(GateStage::closed);
    return {};
  }

  Refusal operator()(const GateHeld& e) {
    if (auto refusal = holdable(s_)) return refusal;
    if (s_.gate.hold) return "it is held already";
    s_.gate.hold = GateHold{e.by, e.reason, at_};
    return {};
  }

  Refusal operator()(const GateReleased&) {
    if (!s_.gate.hold) return "it is not held";
    s_.gate.hold.reset();
    return {};
  }

  Refusal operator()(const OverrideAsked& e) {
    if (auto refusal = holdable(s_)) return refusal;
    if (e.gate_epoch != s_.gate.epoch) return "the gate has fallen back meanwhile";
    // One that waits for its second person, or has lost its effect, is of no use any more.
    std::erase_if(s_.gate.overrides, [&](const GateOverride& known) {
      return known.confirmed_by.empty() || known.gate_epoch != s_.gate.epoch || known.expires <= at_;
    });
    s_.gate.overrides.push_back({e.instances, e.reason, e.by, "", e.gate_epoch, at_, at_ + e.lasts});
    return {};
  }

  Refusal operator()(const OverrideConfirmed& e) {
    if (s_.gate.overrides.empty() || !s_.gate.overrides.back().confirmed_by.empty()) return "none waits for it";
    auto& asked = s_.gate.overrides.back();
    if (asked.by == e.by) return fmt::format("{} has asked for it; somebody else has to confirm it", e.by);
    if (asked.gate_epoch != s_.gate.epoch || asked.expires <= at_) return "it has expired";
    asked.confirmed_by = e.by;
    return {};
  }

 private:
  void turn(GateStage stage) {
    s_.gate.stage = stage;
    s_.gate.since = at_;
  }
  // What happens at the gate happens before contract, to a plan that goes on.
  [[nodiscard]] Refusal gate_at(GateStage stage) const {
    if (s_.stage != Stage::backfilled) return "its turn has not come";
    if (s_.gate.stage != stage) return fmt::format("the gate is {}", to_string(s_.gate.stage));
    return inactive();
  }
  [[nodiscard]] Refusal inactive() const {
    if (s_.condition == Condition::active) return {};
    return fmt::format("the plan is {}", to_string(s_.condition));
  }
  [[nodiscard]] static std::string unknown_step(const StepId& id) {
    return fmt::format("the plan has no step {}", id.str());
  }

  template <typename Change>
  Refusal on_step(const StepId& id, StepStatus wanted, Change change) {
    const auto index = s_.plan.index_of(id);
    if (!index) return unknown_step(id);
    if (s_.steps[*index].status != wanted) return fmt::format("it is {}", to_string(s_.steps[*index].status));
    change(s_.steps[*index]);
    return {};
  }

  PlanState& s_;
  WallTime at_;
};

}  // namespace

std::string_view to_string(Stage stage) {
  return name_of(kStageNames, stage);
}
std::optional<Stage> stage_from(std::string_view text) {
  return value_of(kStageNames, text);
}
bool terminal(Stage stage) {
  return stage == Stage::completed || stage == Stage::aborted;
}
std::string_view to_string(Condition condition) {
  return name_of(kConditionNames, condition);
}
std::optional<Condition> condition_from(std::string_view text) {
  return value_of(kConditionNames, text);
}
std::string_view to_string(StepStatus status) {
  return name_of(kStepStatusNames, status);
}
std::optional<StepStatus> step_status_from(std::string_view text) {
  return value_of(kStepStatusNames, text);
}

const StepState& PlanState::step(const StepId& id) const {
  const auto index = plan.index_of(id);
  assert(index && "a step of this plan");
  return steps[*index];
}

int PlanState::approvals_given(Phase phase) const {
  return static_cast<int>(std::ranges::count(approvals, phase, &Approval::phase));
}

std::string_view PlanState::state_text() const {
  return condition == Condition::active ? to_string(stage) : to_string(condition);
}

bool PlanState::destroyed() const {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool destroys = plan.steps[i].phase == Phase::contract && plan.steps[i].destructive();
    if (destroys && steps[i].applied != Applied::none) return true;
  }
  return false;
}

bool PlanState::past_return() const {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool destroys = plan.steps[i].phase == Phase::contract && plan.steps[i].destructive();
    if (destroys && steps[i].status == StepStatus::running) return true;
  }
  return destroyed();
}

Result<PlanState> evolve(PlanState state, const Event& event, WallTime at) {
  if (state.seq == 0 && !std::holds_alternative<PlanSubmitted>(event)) {
    return fail(ErrorCode::conflict, fmt::format("{}: the plan has not been submitted", kind(event)));
  }
  const Stage before = state.stage;
  if (auto refusal = terminal(before) ? "it is over" : std::visit(Transition{state, at}, event)) {
    const auto* step = step_of(event);
    return fail(ErrorCode::conflict,
                fmt::format("{}{}{} does not fit a plan that is {} ({}): {}", kind(event), step ? " of " : "",
                            step ? step->str() : "", to_string(before), to_string(state.condition), *refusal));
  }
  ++state.seq;
  state.changed_at = at;
  if (terminal(state.stage)) state.waiting.clear();
  return state;
}

Result<PlanState> evolve(PlanState state, std::span<const Event> events, WallTime at) {
  for (const auto& event : events) {
    auto next = evolve(std::move(state), event, at);
    if (!next) return next;
    state = std::move(*next);
  }
  return state;
}

}  // namespace diastole::core
