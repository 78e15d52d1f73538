// The plan's machine with one rule of it broken, and the invariant that has to notice.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "diastole/core/machine.hpp"
#include "model/plan_world.hpp"

namespace diastole::test::mutant {

using namespace core;

struct Mutant {
  std::string name;
  const char* caught_by;
  Rules rules;
};

// decide over a state or a sight that has been tampered with.
template <typename Tamper>
inline Rules blind(Tamper tamper) {
  return {.decide = [tamper](PlanState state, Observation seen, Now now) {
    tamper(state, seen);
    return decide(state, seen, now);
  }};
}

// evolve that lets pass what the real one refuses among undos.
inline Result<PlanState> lenient(PlanState state, const Event& event, WallTime at) {
  auto next = evolve(state, event, at);
  if (next) return next;
  if (const auto* undo = std::get_if<UndoStarted>(&event)) {
    state.steps[*state.plan.index_of(undo->step)].status = StepStatus::undoing;
    return state;
  }
  if (std::holds_alternative<PlanAborted>(event)) {
    state.stage = Stage::aborted;
    return state;
  }
  return next;
}

inline Rules lenient_undo(Rules rules) {
  rules.evolve = lenient;
  return rules;
}

inline Rules approvals_ignored() {
  auto rules = blind([](PlanState& state, Observation&) { state.plan.approvals.clear(); });
  rules.evolve = [](PlanState state, const Event& event, WallTime at) {
    const auto needed = std::exchange(state.plan.approvals, {});
    auto next = evolve(std::move(state), event, at);
    if (next) next->plan.approvals = needed;
    return next;
  };
  return rules;
}

inline Rules pause_ignored() {
  auto rules = blind([](PlanState& state, Observation&) {
    if (state.condition == Condition::paused) state.condition = Condition::active;
  });
  rules.evolve = [](PlanState state, const Event& event, WallTime at) {
    const bool starts = std::holds_alternative<StepStarted>(event) && state.condition == Condition::paused;
    if (starts) state.condition = Condition::active;
    auto next = evolve(std::move(state), event, at);
    if (next && starts) next->condition = Condition::paused;
    return next;
  };
  return rules;
}

inline Rules intent_skipped() {
  return {.decide = [](const PlanState& state, const Observation& seen, Now now) {
    auto decision = decide(state, seen, now);
    std::erase_if(decision.events, [](const Event& event) { return std::holds_alternative<StepStarted>(event); });
    return decision;
  }};
}

inline Rules undo_forwards() {
  Rules rules;
  rules.decide = [](const PlanState& state, const Observation& seen, Now now) -> Decision {
    auto decision = decide(state, seen, now);
    if (!std::holds_alternative<UndoStep>(decision.action)) return decision;
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
      const auto& step = state.plan.steps[i];
      if (state.steps[i].applied == Applied::none || step.undo.empty()) continue;
      return {.events = {UndoStarted{step.id}}, .action = UndoStep{step.id}, .waiting = {}};
    }
    return decision;
  };
  return lenient_undo(rules);
}

inline Rules settle_skipped() {
  return {.decide = [](const PlanState& state, const Observation& seen, Now now) {
    auto decision = decide(state, seen, now);
    if (const auto* settle = std::get_if<SettleStep>(&decision.action)) {
      const auto step = settle->step;
      decision.action = settle->undo ? Action{UndoStep{step}} : Action{RunStep{step}};
    }
    return decision;
  }};
}

inline Rules retry_ignored() {
  return {.command = [](const PlanState& state, const Command& asked) -> Result<std::vector<Event>> {
    if (std::holds_alternative<Retry>(asked)) return std::vector<Event>{};
    return command(state, asked);
  }};
}

inline Rules abort_always() {
  Rules rules;
  rules.command = [](const PlanState& state, const Command& asked) -> Result<std::vector<Event>> {
    const bool running = !terminal(state.stage) && state.stage != Stage::aborting;
    if (std::holds_alternative<Abort>(asked) && running) return std::vector<Event>{AbortRequested{"bob", ""}};
    return command(state, asked);
  };
  rules.evolve = [](PlanState state, const Event& event, WallTime at) -> Result<PlanState> {
    if (!std::holds_alternative<AbortRequested>(event)) return evolve(std::move(state), event, at);
    state.stage = Stage::aborting;
    state.condition = Condition::active;
    return state;
  };
  return rules;
}

inline Rules own_approval() {
  return {.command = [](const PlanState& state, Command asked) {
    if (auto* approve = std::get_if<Approve>(&asked)) approve->by_submitter_allowed = true;
    return command(state, asked);
  }};
}

// "It was running, so it ran."
inline Rules interruption_is_success() {
  return {.evolve = [](PlanState state, const Event& event, WallTime at) {
    if (const auto* stopped = std::get_if<StepInterrupted>(&event)) {
      return evolve(std::move(state), StepFinished{stopped->step, 0, {}, ""}, at);
    }
    return evolve(std::move(state), event, at);
  }};
}

inline Rules outcome_refused_while_paused() {
  return {.evolve = [](PlanState state, const Event& event, WallTime at) -> Result<PlanState> {
    if (state.condition == Condition::paused && std::holds_alternative<StepFinished>(event)) {
      return fail(ErrorCode::conflict, "the plan is paused");
    }
    return evolve(std::move(state), event, at);
  }};
}

// Straight from an open gate into contract.
inline Rules fence_skipped() {
  Rules rules;
  rules.decide = [](const PlanState& state, const Observation& seen, Now now) {
    auto decision = decide(state, seen, now);
    for (auto& event : decision.events) {
      if (std::holds_alternative<GateFencing>(event)) event = PhaseStarted{Phase::contract, true};
    }
    return decision;
  };
  rules.evolve = [](PlanState state, const Event& event, WallTime at) {
    const auto* phase = std::get_if<PhaseStarted>(&event);
    if (phase && phase->phase == Phase::contract && state.gate.stage == GateStage::closed)
      state.gate.stage = GateStage::quarantined;
    return evolve(std::move(state), event, at);
  };
  return rules;
}

inline Rules quarantine_skipped() {
  Rules rules;
  rules.decide = [](const PlanState& state, const Observation& seen, Now now) {
    auto decision = decide(state, seen, now);
    if (std::holds_alternative<Quarantine>(decision.action)) decision.events.push_back(Quarantined{});
    if (std::holds_alternative<Quarantine>(decision.action)) decision.action = {};
    return decision;
  };
  return rules;
}

// "The record says closed, so it is."
inline Rules fence_forgotten() {
  return {.decide = [](const PlanState& state, const Observation& seen, Now now) {
    auto decision = decide(state, seen, now);
    if (std::holds_alternative<LowerFence>(decision.action)) {
      decision.events.push_back(FenceLowered{});
      decision.action = {};
    }
    return decision;
  }};
}

inline Rules moody() {
  return {.decide = [calls = 0](const PlanState& state, const Observation& seen, Now now) mutable {
    return ++calls % 2 == 0 ? Decision{} : decide(state, seen, now);
  }};
}

inline std::vector<Mutant> all() {
  const auto in_abort = [](const PlanState& state) { return state.stage == Stage::aborting; };
  return {
      {"GateIgnored", kGateFirst, blind([](PlanState&, Observation& seen) { seen.gate.state = GateState::open; })},
      {"NeedsIgnored", kNeedsFirst, blind([](PlanState&, Observation& seen) {
         for (auto& [step, verdict] : seen.needs) verdict.state = GateState::open;
       })},
      {"PreflightIgnored", kPreflightFirst, blind([](PlanState&, Observation& seen) {
         if (seen.preflight) *seen.preflight = {seen.preflight->phase, test::kNow.mono, {}};
       })},
      {"ApprovalsIgnored", kApprovalsFirst, approvals_ignored()},
      {"OwnApproval", kApprovalsFirst, own_approval()},
      {"IntentSkipped", kIntentFirst, intent_skipped()},
      {"UndoForwards", kInOrder, undo_forwards()},
      {"UndoOfPartsForgotten", kAbortedEmpty, lenient_undo(blind([in_abort](PlanState& state, Observation&) {
         for (auto& step : state.steps) {
           if (in_abort(state) && step.applied == Applied::partial) step.applied = Applied::none;
         }
       }))},
      {"UndoOfWhatNeverRan", kOnlyWhatRan, lenient_undo(blind([in_abort](PlanState& state, Observation&) {
         for (auto& step : state.steps) {
           if (in_abort(state) && step.status == StepStatus::pending) step.applied = Applied::full;
         }
       }))},
      {"SettleSkipped", kOnce, settle_skipped()},
      {"RunnerForgotten", kOneAtATime, blind([](PlanState&, Observation& seen) { seen.step_in_hand = false; })},
      {"HoldIgnored", kQuiet, blind([](PlanState&, Observation& seen) { seen.hold.reset(); })},
      {"PauseIgnored", kQuiet, pause_ignored()},
      {"RetryIgnored", kWayOn, retry_ignored()},
      {"AbortAlways", kNoReturn, abort_always()},
      {"InterruptionIsSuccess", kRecordTrue, interruption_is_success()},
      {"OutcomeRefusedWhilePaused", kAccepted, outcome_refused_while_paused()},
      {"FenceSkipped", kFenceFirst, fence_skipped()},
      {"QuarantineSkipped", kFenceFirst, quarantine_skipped()},
      {"FenceForgotten", kFenceDown, fence_forgotten()},
      {"BadEvidenceIgnored", kFallsBack, blind([](PlanState&, Observation& seen) {
         seen.gate.contradictions.clear();
         seen.drain_failed.clear();
         seen.last_look.clear();
       })},
      {"Moody", kDeterministic, moody()},
  };
}

}  // namespace diastole::test::mutant
