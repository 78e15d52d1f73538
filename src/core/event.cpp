#include "diastole/core/event.hpp"

#include <array>

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<Applied, 3> kAppliedNames{
    {{Applied::none, "none"}, {Applied::partial, "partial"}, {Applied::full, "full"}}};

// In the order of the variant's alternatives.
constexpr std::array<std::string_view, std::variant_size_v<Event>> kKinds{
    "plan_submitted",     "phase_approved", "phase_started",     "phase_finished",  "step_started",
    "step_progressed",    "lock_waited",    "step_finished",     "step_failed",     "step_interrupted",
    "plan_paused",        "plan_resumed",   "retry_requested",   "abort_requested", "undo_started",
    "undo_finished",      "undo_failed",    "undo_interrupted",  "plan_aborted",    "plan_waits",
    "backfill_begun",     "backfill_paced", "gate_fencing",      "fence_raised",    "gate_drained",
    "quarantine_started", "quarantined",    "gate_fell_back",    "fence_lowered",   "gate_held",
    "gate_released",      "override_asked", "override_confirmed"};

}  // namespace

std::string_view to_string(Applied applied) {
  return name_of(kAppliedNames, applied);
}
std::optional<Applied> applied_from(std::string_view text) {
  return value_of(kAppliedNames, text);
}

std::string_view kind(const Event& event) {
  return kKinds[event.index()];
}

const StepId* step_of(const Event& event) {
  return std::visit(
      [](const auto& e) -> const StepId* {
        if constexpr (requires { e.step; }) {
          return &e.step;
        } else {
          return nullptr;
        }
      },
      event);
}

}  // namespace diastole::core
