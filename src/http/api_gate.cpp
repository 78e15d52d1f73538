// Calls about the gate: its verdict, holds, overrides, and whether a version may start.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api_calls.hpp"
#include "api_views.hpp"
#include "diastole/core/command.hpp"
#include "problem.hpp"

namespace diastole::http {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxOverridden = 1'000;

Result<std::string> reason_from(const json& body) {
  const auto found = body.find("reason");
  if (found != body.end() && found->is_string() && !found->get_ref<const std::string&>().empty())
    return found->get<std::string>();
  return fail(ErrorCode::invalid_argument, "say why: it is kept in the plan's history", "/reason");
}

Result<core::InstanceName> instance_from(const json& value, const std::string& path) {
  const auto text = [&](const char* key) {
    return value.is_object() && value.contains(key) && value[key].is_string() ? value[key].get<std::string>() : "";
  };
  if (text("service").empty() || text("instance").empty())
    return fail(ErrorCode::invalid_argument, "expected {\"service\": \"…\", \"instance\": \"…\"}", path);
  return core::InstanceName{ServiceName(text("service")), InstanceId(text("instance"))};
}

Result<std::vector<core::InstanceName>> instances_from(const json& body) {
  std::vector<core::InstanceName> out;
  const auto list = body.find("instances");
  if (list == body.end() || !list->is_array() || list->empty() || list->size() > kMaxOverridden) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("name 1 to {} instances, each as {{\"service\", \"instance\"}}", kMaxOverridden),
                "/instances");
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto instance = instance_from((*list)[i], fmt::format("/instances/{}", i));
    if (!instance) return std::unexpected(instance.error());
    out.push_back(std::move(*instance));
  }
  // The same ones in another order are the same override.
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  return out;
}

}  // namespace

Response retired(const core::Floor& floor, const std::string& version) {
  return problem(409, "Version retired",
                 fmt::format("{} {} may not run: plan {} requires {}, and what older code needs is going or gone",
                             floor.service.str(), version, floor.plan.str(), floor.version.text()),
                 {{"service", floor.service.str()},
                  {"version", version},
                  {"floor", floor.version.text()},
                  {"plan", floor.plan.str()}});
}

Answer ApiCalls::gate(const Call& call) {
  const auto state = parts_.journal.get(PlanId(call.parameters.front()));
  if (!state) return problem(state.error());
  return json_response(200, gate_view(**state, parts_.reconciler.gates(**state), parts_.clock.now()));
}

Answer ApiCalls::hold_gate(const Call& call) {
  auto body = json_body(call.request, settings_.plan_bytes);
  if (!body) return std::move(body.error());
  const auto reason = reason_from(*body);
  if (!reason) return problem(reason.error());
  return command(PlanId(call.parameters.front()), core::HoldGate{call.principal.name, *reason});
}

Answer ApiCalls::release_gate(const Call& call) {
  return command(PlanId(call.parameters.front()), core::ReleaseGate{call.principal.name});
}

Answer ApiCalls::override_gate(const Call& call) {
  auto body = json_body(call.request, settings_.plan_bytes);
  if (!body) return std::move(body.error());
  const auto instances = instances_from(*body);
  if (!instances) return problem(instances.error());
  const auto reason = reason_from(*body);
  if (!reason) return problem(reason.error());
  return command(
      PlanId(call.parameters.front()),
      core::OverrideGate{*instances, *reason, call.principal.name, settings_.override_lasts, parts_.clock.now().wall});
}

Answer ApiCalls::admission(const Call& call) {
  auto body = json_body(call.request, settings_.heartbeat_bytes);
  if (!body) return std::move(body.error());
  const auto text = [&](const char* key) {
    const auto found = body->is_object() ? body->find(key) : body->end();
    return body->is_object() && found != body->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const ServiceName service(text("service"));
  const auto version = text("version");
  if (service.empty() || version.empty())
    return problem({ErrorCode::invalid_argument, "expected {\"service\": \"…\", \"version\": \"…\"}", "/service"});
  if (const auto floor = parts_.floors.above(service, version)) return retired(*floor, version);
  return json_response(200, {{"admitted", true}, {"floor", floor_text(service)}});
}

}  // namespace diastole::http
