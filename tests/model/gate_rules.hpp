// The code under test around the gate, core's as it is and the shell's as the port describes it; what the daemon is
// told of a world; and what an act does to its target.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "diastole/core/command.hpp"
#include "model/gate_plan.hpp"
#include "model/gate_world.hpp"
#include "support/sample_plan.hpp"

namespace diastole::test::gate {

// A mutant replaces one of them.
struct Rules {
  std::function<core::GateVerdict(core::GateSpec, core::GateEvidence, core::GateMemory, Now)> evaluate =
      core::evaluate_gate;
  std::function<core::Decision(const core::PlanState&, const core::Observation&, Now)> decide = core::decide;
  std::function<core::DrainLook(const core::GateSpec&, const core::SessionScan&, const std::vector<core::Tool>&)>
      look_at_drain = core::look_at_drain;
  std::function<std::vector<core::Floor>(const core::PlanState&)> floors = core::floors;
  std::function<std::vector<core::InstanceName>(core::PlanState, WallTime)> set_aside = core::set_aside;
  bool fences = true;                // keep_out() does anything
  bool fences_first = true;          // and not only when the drain is over
  bool checks_lease = true;          // each transaction on the target
  bool checks_gate = true;           // likewise
  bool looks_last = true;            // in the transaction that drops
  bool leads_back_when_lost = true;  // a target that does not know of the fence any more
  bool looks_at_logins = true;       // the last look
  bool ends_quarantine = true;       // let_in() does
  bool gives_back_roles = true;      // likewise
  bool forgets_at_restart = true;    // the memory of the soak
  bool counts_from_the_plan = true;  // watches for one suspect time since then
};

inline constexpr Milliseconds kSuspect{40'000};

inline constexpr std::uint64_t kMembership = 7;
inline constexpr auto kOld = "1.0.0";
inline constexpr auto kCurrent = "2.0.0";
inline constexpr MonoTime kLongAgo{Milliseconds{1'000'000}};

inline core::Plan plan_of(const Scope& scope) {
  core::Plan plan;
  plan.id = PlanId("main.drop");
  plan.target = TargetName("main");
  plan.steps.push_back(statement_step("drop", core::Phase::contract, "ALTER TABLE users DROP COLUMN a", ""));
  plan.steps.back().statements.front().destructive = true;
  plan.gate.fleet = {requirement("api", ">=2.0.0")};
  plan.gate.soak = Milliseconds{scope.short_soak ? 10'000 : 600'000};
  plan.gate.terminate = scope.terminate;
  if (scope.by_role) {
    using Tells = core::RoleMapping::Tells;
    plan.gate.fleet[0].roles = {{"api_1", Tells::version, kOld}, {"api_2", Tells::version, kCurrent}};
  }
  if (scope.quarantine) {
    plan.gate.quarantine = Milliseconds{86'400'000};
    plan.doomed = {{StepId("drop"), "users", "a"}};
  }
  return plan;
}

inline core::SessionScan scan(const World& world, const Scope& scope, Look look) {
  core::SessionScan out{.at = kNow.mono, .servers = {{"primary", "", {}}}, .sessions = {}, .quarantined_for = {}};
  if (scope.by_role) out.servers[0].logins = {{"api_1", world.login}, {"api_2", true}};
  if (world.column == Column::renamed) out.quarantined_for = Milliseconds{864'000'000};
  if (look == Look::earlier) return out;
  for (std::size_t i = 0; i < static_cast<std::size_t>(scope.instances); ++i) {
    if (!world.instances[i].session) continue;
    const bool old = world.instances[i].process == Process::old;
    core::Session session{.server = "primary",
                          .pid = static_cast<std::int64_t>(100 + i),
                          .started_us = 1,
                          .role = !scope.by_role ? "app"
                                  : old          ? "api_1"
                                                 : "api_2",
                          .application_name = "",
                          .database = "main",
                          .since = {},
                          .prepared = ""};
    if (!scope.by_role)
      session.application_name = std::string("api@") + (old ? kOld : kCurrent) + "/" + name_of(i).instance.str();
    out.sessions.push_back(std::move(session));
  }
  if (world.psql) out.sessions.push_back({"primary", 7, 1, "dba", "psql", "main", {}, ""});
  return out;
}

inline core::FleetView view(const World& world, const Scope& scope) {
  core::ServiceTally tally{.service = ServiceName("api"), .versions = {}, .membership = kMembership};
  core::VersionTally by_version[2];
  by_version[0].version = kOld;
  by_version[1].version = kCurrent;
  core::FleetView out{
      .services = {}, .watching_since = world.watched ? kLongAgo : kNow.mono, .suspect_after = kSuspect};
  out.resumed = scope.resumed;
  for (std::size_t i = 0; i < static_cast<std::size_t>(scope.instances); ++i) {
    const auto& instance = world.instances[i];
    if (instance.entry == Entry::none) continue;
    auto& version = by_version[instance.reported_old ? 0 : 1];
    const bool live = instance.entry == Entry::live || instance.entry == Entry::stale;
    const bool long_silent = instance.entry == Entry::long_silent;
    ++tally.members;
    ++(live ? version.live : version.silent);
    version.long_silent += long_silent;
    tally.fell_silent += instance.entry == Entry::fell;
    out.named.push_back({.name = name_of(i),
                         .version = version.version,
                         .seen = {.instance = name_of(i).instance, .incarnation = "", .last_seen = {}, .silent = !live},
                         .long_silent = long_silent});
  }
  if (world.soak == Soak::broken) tally.last_silence = kNow.mono;
  for (auto& version : by_version) {
    if (version.live + version.silent > 0) tally.versions.push_back(version);
  }
  if (tally.members > 0) out.services.push_back(std::move(tally));
  return out;
}

inline core::GateMemory memory(const World& world) {
  const std::uint64_t membership = world.soak == Soak::moved ? kMembership + 1 : kMembership;
  core::GateMemory out{.soaking_since = {}, .membership = membership, .same_for = kLongAgo};
  // An empty fleet has no digest of its own.
  const bool empty = std::ranges::all_of(world.instances, [](const auto& it) { return it.entry == Entry::none; });
  if (empty && world.soak != Soak::moved) out.membership = 0;
  if (world.soak == Soak::begun) out.soaking_since = kNow.mono;
  if (world.soak > Soak::begun) out.soaking_since = kLongAgo;
  return out;
}

inline Soak remembered(const core::GateVerdict& verdict) {
  if (!verdict.memory.soaking_since) return Soak::none;
  const bool over = *verdict.memory.soaking_since != kNow.mono && verdict.memory.same_for != kNow.mono;
  return over ? Soak::over : Soak::begun;
}

inline core::GateVerdict evaluate(const Rules& rules, const core::Plan& plan, const World& world, const Scope& scope,
                                  Look look) {
  core::GateEvidence evidence;
  evidence.fleet = view(world, scope);
  if (!rules.counts_from_the_plan) evidence.fleet.watching_since = kLongAgo;
  if (look != Look::none) evidence.sessions = scan(world, scope, look);
  evidence.backfill_complete = true;
  const auto state = plan_state(plan, world);
  evidence.hold = state.gate.hold;
  evidence.set_aside = rules.set_aside(state, kNow.wall);
  return rules.evaluate(plan.gate, evidence, memory(world), kNow);
}

}  // namespace diastole::test::gate
