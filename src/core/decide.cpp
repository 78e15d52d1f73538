// What comes next. Emits events only; evolve holds the rules, and refuses a decision that would break one.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "diastole/core/machine.hpp"
#include "stages.hpp"

namespace diastole::core {
namespace {

Reason approval_missing(const PlanState& state, Phase phase) {
  Reason reason;
  reason.kind = ReasonKind::approval_missing;
  reason.object = to_string(phase);
  reason.count = state.plan.approvals_needed(phase) - state.approvals_given(phase);
  reason.message =
      fmt::format("{} needs {} more approval{}", to_string(phase), reason.count, reason.count == 1 ? "" : "s");
  reason.clears =
      fmt::format("POST /v1/plans/{}/approvals by somebody other than {}", state.plan.id.str(), state.submitted_by);
  return reason;
}

bool fresh_preflight(const Observation& observation, Phase phase, Now now) {
  if (!observation.preflight || observation.preflight->phase != phase) return false;
  const auto& reasons = observation.preflight->reasons;
  const bool verified = std::ranges::find(reasons, ReasonKind::verification_failed, &Reason::kind) != reasons.end();
  return now.mono - observation.preflight->at < (verified ? kVerificationValid : kPreflightValid);
}

// Before a phase: approvals, gate, preflight; the last only when all else is there, since it asks the database.
Decision before_phase(const PlanState& state, const Observation& observation, Phase phase, Now now) {
  if (!state.plan.has(phase))
    return {.events = {PhaseStarted{phase}, PhaseFinished{phase}}, .action = {}, .waiting = {}};
  Decision decision;
  if (state.approvals_given(phase) < state.plan.approvals_needed(phase)) {
    decision.waiting.push_back(approval_missing(state, phase));
  }
  if (phase == Phase::contract && !observation.gate.open()) {
    std::ranges::copy(observation.gate.reasons, std::back_inserter(decision.waiting));
  }
  if (!decision.waiting.empty()) return decision;
  if (observation.hold) {
    decision.waiting.push_back(*observation.hold);
    return decision;
  }
  if (!fresh_preflight(observation, phase, now)) {
    decision.action = RunPreflight{phase};
    // What the previous look found stays in sight while the next one is on its way.
    if (observation.preflight && observation.preflight->phase == phase)
      decision.waiting = observation.preflight->reasons;
    return decision;
  }
  if (!observation.preflight->reasons.empty()) {
    decision.waiting = observation.preflight->reasons;
    return decision;
  }
  decision.events.push_back(PhaseStarted{phase, phase == Phase::contract});
  return decision;
}

// Which gate a step stands behind, besides its phase's: none, its needs, or once more contract's, for each of its
// steps.
const GateVerdict* step_gate(const Step& step, const Observation& observation) {
  if (step.phase == Phase::contract) return &observation.gate;
  if (!step.backfill || step.backfill->needs.empty()) return nullptr;
  static const GateVerdict kClosed;
  const auto found = observation.needs.find(step.id);
  return found == observation.needs.end() ? &kClosed : &found->second;
}

Reason paced_to_rest(const PlanId& plan, const StepId& step, const StepState& state) {
  Reason reason;
  reason.kind = ReasonKind::manual;
  reason.object = step.str();
  reason.message = fmt::format("{} has paused backfill {}", state.paced_by, step.str());
  reason.clears = fmt::format("diastole pace {} --step {} --resume", plan.str(), step.str());
  return reason;
}

Decision during_phase(const PlanState& state, const Observation& observation, Phase phase) {
  Decision decision;
  for (std::size_t i = 0; i < state.steps.size(); ++i) {
    const auto& step = state.plan.steps[i];
    const auto& progress = state.steps[i];
    if (step.phase != phase || progress.status == StepStatus::done) continue;
    if (progress.pace.paused) decision.waiting.push_back(paced_to_rest(state.plan.id, step.id, progress));
    if (const auto* gate = step_gate(step, observation); gate && !gate->open())
      std::ranges::copy(gate->reasons, std::back_inserter(decision.waiting));
    if (!decision.waiting.empty()) return decision;
    if (observation.hold) {
      decision.waiting.push_back(*observation.hold);
      return decision;
    }
    decision.events.push_back(StepStarted{step.id, progress.attempts + 1});
    decision.action = RunStep{step.id};
    return decision;
  }
  decision.events.push_back(PhaseFinished{phase});
  return decision;
}

Decision during_abort(const PlanState& state, const Observation& observation) {
  Decision decision;
  for (std::size_t i = state.steps.size(); i-- > 0;) {
    const auto& step = state.plan.steps[i];
    if (!needs_undo(state.steps[i])) continue;
    if (step.undo.empty()) {
      decision.events = {UndoStarted{step.id},
                         UndoFinished{step.id, step.no_undo.empty() ? "the plan names nothing to undo" : step.no_undo}};
      return decision;
    }
    if (observation.hold) {
      decision.waiting.push_back(*observation.hold);
      return decision;
    }
    decision.events.push_back(UndoStarted{step.id});
    decision.action = UndoStep{step.id};
    return decision;
  }
  decision.events.push_back(PlanAborted{});
  return decision;
}

Decision next(const PlanState& state, const Observation& observation, Now now) {
  if (terminal(state.stage) || observation.step_in_hand) return {.events = {}, .action = {}, .waiting = state.waiting};
  // A step somebody marked and nobody acts for: that process is gone, or lost its connection. Before all else, paused
  // or not.
  for (std::size_t i = 0; i < state.steps.size(); ++i) {
    const auto status = state.steps[i].status;
    if (status != StepStatus::running && status != StepStatus::undoing) continue;
    if (observation.hold) return {.events = {}, .action = {}, .waiting = {*observation.hold}};
    return {.events = {}, .action = SettleStep{state.plan.steps[i].id, status == StepStatus::undoing}, .waiting = {}};
  }
  if (state.condition != Condition::active) return {};
  switch (state.stage) {
    case Stage::accepted: return before_phase(state, observation, Phase::expand, now);
    case Stage::expanding: return during_phase(state, observation, Phase::expand);
    case Stage::expanded: return before_phase(state, observation, Phase::backfill, now);
    case Stage::backfilling: return during_phase(state, observation, Phase::backfill);
    case Stage::backfilled: return before_phase(state, observation, Phase::contract, now);
    case Stage::contracting: return during_phase(state, observation, Phase::contract);
    case Stage::aborting: return during_abort(state, observation);
    case Stage::completed:
    case Stage::aborted: return {};
  }
  return {};
}

// How many obstacles of each sort. Which instances stand as examples changes with every heartbeat, and ages with time:
// neither is news.
using Obstacles = std::map<std::tuple<ReasonKind, std::string, std::string, std::string, std::int64_t>, std::int64_t>;

Obstacles obstacles(const std::vector<Reason>& reasons) {
  Obstacles out;
  for (const auto& reason : reasons) {
    out[{reason.kind, reason.service, reason.version, reason.object, reason.pid}] +=
        std::max<std::int64_t>(reason.count, 1);
  }
  return out;
}

}  // namespace

Decision decide(const PlanState& state, const Observation& observation, Now now) {
  auto decision = next(state, observation, now);
  if (!terminal(state.stage) && obstacles(decision.waiting) != obstacles(state.waiting)) {
    decision.events.insert(decision.events.begin(), PlanWaits{decision.waiting});
  }
  return decision;
}

}  // namespace diastole::core
