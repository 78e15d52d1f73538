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

// Why not, or nothing where it is possible. Asked by command for its answer and by evolve for its rule.
[[nodiscard]] std::optional<std::string> approvable(const PlanState& state, Phase phase);
[[nodiscard]] std::optional<std::string> abortable(const PlanState& state);
[[nodiscard]] std::optional<std::string> paceable(const PlanState& state, const StepId& step);

}  // namespace diastole::core
