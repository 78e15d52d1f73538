// What a plan's state says of its gate.
#include <algorithm>

#include "diastole/core/machine.hpp"
#include "stages.hpp"

namespace diastole::core {

std::optional<std::size_t> to_undo_before_lowering(const PlanState& state) {
  for (std::size_t i = state.steps.size(); i-- > 0;) {
    if (state.plan.steps[i].phase != Phase::contract || !needs_undo(state.steps[i])) continue;
    const bool stays = state.stage != Stage::aborting && state.plan.steps[i].undo.empty();
    if (!stays) return i;
  }
  return std::nullopt;
}

std::vector<Floor> floors(const PlanState& state) {
  std::vector<Floor> out;
  if (state.gate.stage == GateStage::closed) return out;
  for (const auto& requirement : state.plan.gate.fleet)
    out.push_back({requirement.service, requirement.version, state.plan.id});
  return out;
}

std::vector<InstanceName> set_aside(const PlanState& state, WallTime now) {
  std::vector<InstanceName> out;
  for (const auto& known : state.gate.overrides) {
    if (known.confirmed_by.empty() || known.gate_epoch != state.gate.epoch || known.expires <= now) continue;
    std::ranges::copy(known.instances, std::back_inserter(out));
  }
  return out;
}

GateSpec needs_gate(const Plan& plan, const Backfill& backfill) {
  GateSpec spec;
  for (const auto& declared : plan.gate.fleet) {
    const auto need = std::ranges::find(backfill.needs, declared.service, &FleetRequirement::service);
    if (need == backfill.needs.end()) {
      spec.others.push_back(declared);
    } else {
      spec.fleet.push_back(*need);
      spec.fleet.back().roles = declared.roles;
    }
  }
  return spec;
}

}  // namespace diastole::core
