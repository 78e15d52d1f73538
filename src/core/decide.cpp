// What comes next. Emits events only; evolve holds the rules, and refuses a decision that would break one.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "diastole/core/machine.hpp"
#include "gate_reasons.hpp"
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

Reason restoring_reason(const PlanState& state) {
  Reason reason;
  reason.kind = ReasonKind::gate_restoring;
  reason.object = "gate";
  reason.message = "quarantine and fence are being undone";
  if (!state.gate.fell_back.empty()) reason.message += ": " + state.gate.fell_back.front().message;
  reason.clears = "it is done by itself";
  reason.since = state.gate.since;
  return reason;
}

Reason in_quarantine(const PlanState& state, Milliseconds since) {
  Reason reason;
  reason.kind = ReasonKind::quarantined;
  reason.age = since;
  reason.since = state.gate.since;
  reason.count = static_cast<std::int64_t>(state.plan.doomed.size());
  reason.message = fmt::format("what contract drops has been renamed, and stays so for {}",
                               format_duration(state.plan.gate.quarantine));
  reason.clears = fmt::format("time; POST /v1/plans/{}/gate/hold brings it back", state.plan.id.str());
  return reason;
}

// One that the plan names nothing to undo for is undone by saying so.
void begin_undo(Decision& decision, const Step& step) {
  decision.events.push_back(UndoStarted{step.id});
  if (step.undo.empty()) {
    decision.events.push_back(
        UndoFinished{step.id, step.no_undo.empty() ? "the plan names nothing to undo" : step.no_undo});
  } else {
    decision.action = UndoStep{step.id};
  }
}

// Contract's steps back to where contract has not been, then the fence.
Decision restore(const PlanState& state, const Observation& observation) {
  Decision decision;
  decision.waiting.push_back(restoring_reason(state));
  if (observation.hold) {
    decision.waiting.push_back(*observation.hold);
    return decision;
  }
  const auto step = to_undo_before_lowering(state);
  if (!step) {
    decision.action = LowerFence{};
    return decision;
  }
  begin_undo(decision, state.plan.steps[*step]);
  return decision;
}

// Bad evidence at any time from fencing up to the drop.
std::vector<Reason> bad_evidence(const Observation& observation) {
  auto out = observation.last_look;
  std::ranges::copy(observation.drain_failed, std::back_inserter(out));
  std::ranges::copy(observation.gate.contradictions, std::back_inserter(out));
  return out;
}

// Between the backfill and contract: the gate opens, the fence is raised, old sessions end, what is to be dropped waits
// in quarantine. Each act's intent is durable before it, and each can be done again.
Decision before_contract(const PlanState& state, const Observation& observation, Now now) {
  if (!state.plan.has(Phase::contract)) return before_phase(state, observation, Phase::contract, now);
  const auto stage = state.gate.stage;
  if (stage == GateStage::restoring) return restore(state, observation);
  if (stage == GateStage::closed) {
    // The verdict says so as well, a moment later.
    if (state.gate.hold && observation.gate.open())
      return {.events = {}, .action = {}, .waiting = {held(*state.gate.hold)}};
    auto decision = before_phase(state, observation, Phase::contract, now);
    if (!decision.events.empty()) decision.events = {GateFencing{true}};
    return decision;
  }
  Decision decision;
  if (auto bad = bad_evidence(observation); !bad.empty()) {
    decision.events.push_back(GateFellBack{std::move(bad)});
    return decision;
  }
  if (observation.hold) {
    decision.waiting.push_back(*observation.hold);
    return decision;
  }
  switch (stage) {
    case GateStage::fencing: decision.action = RaiseFence{}; return decision;
    case GateStage::draining: decision.action = Drain{}; return decision;
    case GateStage::quarantining: decision.action = Quarantine{}; return decision;
    case GateStage::drained:
      if (!quarantines(state.plan)) break;
      decision.events.push_back(QuarantineStarted{});
      return decision;
    case GateStage::quarantined: {
      const auto since = observation.quarantined_for.value_or(Milliseconds{0});
      if (since >= state.plan.gate.quarantine) break;
      decision.waiting.push_back(in_quarantine(state, since));
      return decision;
    }
    case GateStage::closed:
    case GateStage::restoring: return decision;
  }
  return before_phase(state, observation, Phase::contract, now);
}

// A gate that falls back before anything is destroyed takes contract back with it.
Decision during_contract(const PlanState& state, const Observation& observation) {
  if (!state.past_return()) {
    if (auto bad = bad_evidence(observation); !bad.empty())
      return {.events = {GateFellBack{std::move(bad)}}, .action = {}, .waiting = {}};
  }
  return during_phase(state, observation, Phase::contract);
}

Decision during_abort(const PlanState& state, const Observation& observation) {
  if (state.gate.stage != GateStage::closed) return restore(state, observation);
  Decision decision;
  for (std::size_t i = state.steps.size(); i-- > 0;) {
    const auto& step = state.plan.steps[i];
    if (!needs_undo(state.steps[i])) continue;
    if (observation.hold && !step.undo.empty()) {
      decision.waiting.push_back(*observation.hold);
      return decision;
    }
    begin_undo(decision, step);
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
    case Stage::backfilled: return before_contract(state, observation, now);
    case Stage::contracting: return during_contract(state, observation);
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
