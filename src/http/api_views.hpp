// The domain's values as clients see them.
#pragma once

#include <nlohmann/json.hpp>

#include "diastole/core/machine.hpp"
#include "diastole/engine/fleet.hpp"
#include "diastole/engine/reconciler.hpp"
#include "diastole/ports/plan_store.hpp"

namespace diastole::http {

[[nodiscard]] nlohmann::json plan_view(const core::PlanState& state);
[[nodiscard]] nlohmann::json plan_row(const core::PlanState& state);  // for lists
[[nodiscard]] nlohmann::json step_view(const core::Step& step);       // as planned, without progress
[[nodiscard]] nlohmann::json gate_view(const core::PlanState& state, const engine::Gates& gates, Now now);
[[nodiscard]] nlohmann::json preview_view(const StepId& step, const ports::BackfillPreview& preview);
[[nodiscard]] nlohmann::json event_view(const ports::StoredEvent& event);
[[nodiscard]] nlohmann::json services_view(const core::FleetView& fleet);
[[nodiscard]] nlohmann::json instance_view(const engine::InstanceView& instance);

}  // namespace diastole::http
