// The gate's verdict, its progress and its events.
#include "diastole/codec/plan_codec.hpp"
#include "values.hpp"

namespace diastole::codec {
namespace {

using namespace core;

json instance_to(const InstanceName& name) {
  return {{"service", name.service.str()}, {"instance", name.instance.str()}};
}

InstanceName instance_from(const json& in) {
  return {ServiceName(in.at("service").get<std::string>()), InstanceId(in.at("instance").get<std::string>())};
}

json hold_to(const GateHold& hold) {
  return {{"by", hold.by}, {"reason", hold.reason}, {"at", to_rfc3339(hold.at)}};
}

GateHold hold_from(const json& in) {
  return {in.at("by").get<std::string>(), take<std::string>(in, "reason"), take_time(in, "at").value_or(WallTime{})};
}

json override_to(const GateOverride& known) {
  json out{{"instances", list_to(known.instances, instance_to)},
           {"reason", known.reason},
           {"by", known.by},
           {"gate_epoch", known.gate_epoch},
           {"at", to_rfc3339(known.at)},
           {"expires", to_rfc3339(known.expires)}};
  put(out, "confirmed_by", known.confirmed_by);
  return out;
}

GateOverride override_from(const json& in) {
  return {.instances = list_from<InstanceName>(in, "instances", instance_from),
          .reason = in.at("reason").get<std::string>(),
          .by = in.at("by").get<std::string>(),
          .confirmed_by = take<std::string>(in, "confirmed_by"),
          .gate_epoch = in.at("gate_epoch").get<std::int64_t>(),
          .at = take_time(in, "at").value_or(WallTime{}),
          .expires = take_time(in, "expires").value_or(WallTime{})};
}

std::string who(const json& in) {
  return in.at("by").get<std::string>();
}

struct Body {
  json operator()(const GateFencing& e) const { return {{"gate_open", e.gate_open}}; }
  json operator()(const FenceRaised& e) const { return {{"roles", e.roles}}; }
  json operator()(const GateDrained& e) const { return {{"terminated", e.terminated}}; }
  json operator()(const QuarantineStarted&) const { return json::object(); }
  json operator()(const Quarantined& e) const { return {{"names", e.names}}; }
  json operator()(const GateFellBack& e) const { return {{"reasons", list_to(e.reasons, reason_to_json)}}; }
  json operator()(const FenceLowered&) const { return json::object(); }
  json operator()(const GateHeld& e) const { return {{"by", e.by}, {"reason", e.reason}}; }
  json operator()(const GateReleased& e) const { return {{"by", e.by}}; }
  json operator()(const OverrideAsked& e) const {
    return {{"instances", list_to(e.instances, instance_to)},
            {"reason", e.reason},
            {"by", e.by},
            {"gate_epoch", e.gate_epoch},
            {"lasts_ms", e.lasts.count()}};
  }
  json operator()(const OverrideConfirmed& e) const { return {{"by", e.by}}; }
  json operator()(const auto&) const { return json::object(); }
};

}  // namespace

json gate_event_to(const Event& event) {
  return std::visit(Body{}, event);
}

std::optional<Event> gate_event_from(std::string_view kind, const json& in) {
  if (kind == "gate_fencing") return GateFencing{in.at("gate_open").get<bool>()};
  if (kind == "fence_raised") return FenceRaised{take<std::vector<std::string>>(in, "roles")};
  if (kind == "gate_drained") return GateDrained{take<std::int64_t>(in, "terminated")};
  if (kind == "quarantine_started") return QuarantineStarted{};
  if (kind == "quarantined") return Quarantined{take<std::vector<std::string>>(in, "names")};
  if (kind == "gate_fell_back") return GateFellBack{list_from<Reason>(in, "reasons", reason_from)};
  if (kind == "fence_lowered") return FenceLowered{};
  if (kind == "gate_held") return GateHeld{who(in), take<std::string>(in, "reason")};
  if (kind == "gate_released") return GateReleased{who(in)};
  if (kind == "override_asked") {
    return OverrideAsked{list_from<InstanceName>(in, "instances", instance_from), in.at("reason").get<std::string>(),
                         who(in), in.at("gate_epoch").get<std::int64_t>(), take_ms(in, "lasts_ms")};
  }
  if (kind == "override_confirmed") return OverrideConfirmed{who(in)};
  return std::nullopt;
}

json gate_progress_to_json(const GateProgress& progress) {
  json out{{"stage", to_string(progress.stage)}, {"epoch", progress.epoch}};
  if (progress.since) out["since"] = to_rfc3339(*progress.since);
  put(out, "fenced_roles", progress.fenced_roles);
  put(out, "quarantined", progress.quarantined);
  if (!progress.fell_back.empty()) out["fell_back"] = list_to(progress.fell_back, reason_to_json);
  if (progress.hold) out["hold"] = hold_to(*progress.hold);
  if (!progress.overrides.empty()) out["overrides"] = list_to(progress.overrides, override_to);
  return out;
}

GateProgress gate_progress_from(const json& in) {
  GateProgress progress;
  progress.stage = required(gate_stage_from(in.at("stage").get_ref<const std::string&>()), in.at("stage"));
  progress.epoch = in.at("epoch").get<std::int64_t>();
  progress.since = take_time(in, "since");
  progress.fenced_roles = take<std::vector<std::string>>(in, "fenced_roles");
  progress.quarantined = take<std::vector<std::string>>(in, "quarantined");
  progress.fell_back = list_from<Reason>(in, "fell_back", reason_from);
  if (in.contains("hold")) progress.hold = hold_from(in["hold"]);
  progress.overrides = list_from<GateOverride>(in, "overrides", override_from);
  return progress;
}

json gate_to_json(const GateVerdict& verdict, Now now) {
  json out{{"state", to_string(verdict.state)}, {"reasons", list_to(verdict.reasons, reason_to_json)}};
  out["services"] = list_to(verdict.services, [](const ServiceVerdict& service) {
    json entry{{"service", service.service.str()},
               {"required", service.required},
               {"min_instances", service.min_instances},
               {"new", service.on_new},
               {"old", service.on_old},
               {"unknown", service.unknown}};
    put(entry, "gone", service.gone);
    put(entry, "overridden", service.overridden);
    return entry;
  });
  if (verdict.memory.soaking_since)
    out["soaking_since"] = to_rfc3339(now.wall - (now.mono - *verdict.memory.soaking_since));
  return out;
}

}  // namespace diastole::codec
