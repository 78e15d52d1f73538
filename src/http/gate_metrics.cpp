#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "metrics.hpp"

namespace diastole::http {
namespace {

constexpr std::chrono::minutes kGrowing{10};

// Ids of plans are [a-z0-9.-], services [a-z0-9-], and the rest comes from our own tables: nothing to escape.
template <typename Value>
void sample(std::string& out, std::string_view name, std::string_view labels, Value value) {
  fmt::format_to(std::back_inserter(out), "{}{{{}}} {}\n", name, labels, value);
}

std::string plan_label(const GateLook& look) {
  return fmt::format("plan=\"{}\"", look.state->plan.id.str());
}

void tell_states(std::string& out, const std::vector<GateLook>& looks) {
  constexpr std::string_view kState = "diastole_gate_state";
  metric_head(out, kState, "1 for the state that a plan's gate is in, by its evidence.");
  for (const auto& look : looks)
    sample(out, kState, fmt::format("{},state=\"{}\"", plan_label(look), to_string(look.gates.contract.state)), 1);
  constexpr std::string_view kStage = "diastole_gate_stage";
  metric_head(out, kStage, "1 for how far a plan has come behind its gate: fence, drain, quarantine.");
  for (const auto& look : looks)
    sample(out, kStage, fmt::format("{},stage=\"{}\"", plan_label(look), to_string(look.state->gate.stage)), 1);
  constexpr std::string_view kEpoch = "diastole_gate_epoch";
  metric_head(out, kEpoch, "Grows each time a plan's gate falls back.");
  for (const auto& look : looks) sample(out, kEpoch, plan_label(look), look.state->gate.epoch);
}

void tell_reasons(std::string& out, const std::vector<GateLook>& looks) {
  constexpr std::string_view kName = "diastole_gate_reasons";
  metric_head(out, kName, "What keeps a plan's gate closed: instances, sessions or other obstacles of each kind.");
  for (const auto& look : looks) {
    std::map<core::ReasonKind, std::int64_t> counts;
    for (const auto& reason : look.gates.contract.reasons)
      counts[reason.kind] += std::max<std::int64_t>(reason.count, 1);
    for (const auto& [kind, count] : counts)
      sample(out, kName, fmt::format("{},kind=\"{}\"", plan_label(look), to_string(kind)), count);
  }
}

void tell_services(std::string& out, const std::vector<GateLook>& looks) {
  constexpr std::string_view kName = "diastole_gate_instances";
  metric_head(out, kName, "A declared service's instances, as a plan's gate counts them.");
  for (const auto& look : looks) {
    for (const auto& service : look.gates.contract.services) {
      const auto labels = fmt::format("{},service=\"{}\"", plan_label(look), service.service.str());
      const std::pair<std::string_view, std::int64_t> kClasses[] = {{"new", service.on_new},
                                                                    {"old", service.on_old},
                                                                    {"unknown", service.unknown},
                                                                    {"gone", service.gone},
                                                                    {"overridden", service.overridden}};
      for (const auto& [is, count] : kClasses) sample(out, kName, fmt::format("{},class=\"{}\"", labels, is), count);
    }
  }
}

void tell_sessions(std::string& out, const std::vector<GateLook>& looks) {
  constexpr std::string_view kName = "diastole_gate_sessions";
  metric_head(out, kName, "Clients' sessions at the latest look, by server of the target.");
  for (const auto& look : looks) {
    if (!look.gates.sessions) continue;
    for (const auto& server : look.gates.sessions->servers) {
      sample(out, kName, fmt::format("{},server=\"{}\"", plan_label(look), server.server),
             std::ranges::count(look.gates.sessions->sessions, server.server, &core::Session::server));
    }
  }
}

// No 0 where a server does not tell: it would say that nobody uses it any more.
void tell_statements(std::string& out, const std::vector<GateLook>& looks, WallTime now) {
  constexpr std::string_view kName = "diastole_gate_statements_growing";
  metric_head(out, kName,
              "Queries that use, or may use, what a plan's contract drops and were called in the last 10 minutes.");
  for (const auto& look : looks) {
    const auto& advice = look.gates.advice;
    if (!advice || (!advice->missing.empty() && advice->statements.empty())) continue;
    sample(out, kName, plan_label(look), advice->grown_since(now - kGrowing));
  }
}

}  // namespace

std::string gate_metrics_text(const std::vector<GateLook>& looks, WallTime now) {
  std::string out;
  tell_states(out, looks);
  tell_reasons(out, looks);
  tell_services(out, looks);
  tell_sessions(out, looks);
  tell_statements(out, looks, now);
  return out;
}

}  // namespace diastole::http
