// What evolve, decide and command share about stages.
#pragma once

#include <optional>
#include <string>

#include "diastole/core/machine.hpp"

namespace diastole::core {

[[nodiscard]] constexpr Stage stage_before(Phase phase) {
  switch (phase) {
    case Phase::expand: return Stage::accepted;
    case Phase::backfill: return Stage::expanded;
    case Phase::contract: return Stage::backfilled;
  }
  return Stage::aborted;
}

[[nodiscard]] constexpr Stage stage_during(Phase phase) {
  switch (phase) {
    case Phase::expand: return Stage::expanding;
    case Phase::backfill: return Stage::backfilling;
    case Phase::contract: return Stage::contracting;
  }
  return Stage::aborted;
}

[[nodiscard]] constexpr Stage stage_after(Phase phase) {
  switch (phase) {
    case Phase::expand: return Stage::expanded;
    case Phase::backfill: return Stage::backfilled;
    case Phase::contract: return Stage::completed;
  }
  return Stage::aborted;
}

// Abort undoes exactly these, backwards.
[[nodiscard]] inline bool needs_undo(const StepState& step) {
  return step.applied != Applied::none;
}

// Whether the plan renames what it drops, and waits, before it does.
[[nodiscard]] inline bool quarantines(const Plan& plan) {
  return plan.gate.quarantine.count() > 0 && !plan.doomed.empty();
}
// How far the gate has to have come before contract begins.
[[nodiscard]] inline GateStage behind_gate(const Plan& plan) {
  return quarantines(plan) ? GateStage::quarantined : GateStage::drained;
}
// The gate fell back, and the plan goes on afterwards.
[[nodiscard]] inline bool restoring(const PlanState& state) {
  return state.stage == Stage::backfilled && state.gate.stage == GateStage::restoring;
}
// The last step of contract that has to be undone before the fence may be lowered. One without an undo stays, unless
// the plan is aborted.
[[nodiscard]] std::optional<std::size_t> to_undo_before_lowering(const PlanState& state);

// Why not, or nothing where it is possible. Asked by command for its answer and by evolve for its rule.
[[nodiscard]] std::optional<std::string> approvable(const PlanState& state, Phase phase);
[[nodiscard]] std::optional<std::string> abortable(const PlanState& state);
[[nodiscard]] std::optional<std::string> holdable(const PlanState& state);
[[nodiscard]] std::optional<std::string> paceable(const PlanState& state, const StepId& step);

}  // namespace diastole::core
