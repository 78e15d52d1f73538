// The plan's state in a world, and back; and what a world looks like to somebody who is not the code under test.
#pragma once

#include <string>

#include "diastole/core/machine.hpp"
#include "model/gate_world.hpp"

namespace diastole::test::gate {

// The epochs of the plan's gate that are told apart: its present one, and all before.
inline constexpr std::int64_t kGateEpoch = 5;

inline core::InstanceName name_of(std::size_t i) {
  return {ServiceName("api"), InstanceId("api-" + std::to_string(i))};
}

inline core::GateOverride override_of(const World& world) {
  return {.instances = {name_of(0)},
          .reason = "its host is gone",
          .by = "bob",
          .confirmed_by = world.ask == Ask::confirmed ? "carol" : "",
          .gate_epoch = world.ask_late ? kGateEpoch - 1 : kGateEpoch,
          .at = kNow.wall,
          .expires = kNow.wall + Milliseconds{world.ask_expired ? -1 : 3'600'000}};
}

// Not times, attempts, notes or reasons, on which nothing may depend.
inline core::PlanState plan_state(const core::Plan& plan, const World& world) {
  core::PlanState state;
  state.plan = plan;
  state.seq = 1;
  state.submitted_by = "ann";
  state.stage = world.stage;
  state.steps.resize(1);
  state.steps[0].status = world.drop;
  if (world.drop == core::StepStatus::done) state.steps[0].applied = core::Applied::full;
  state.gate.stage = world.gate;
  state.gate.epoch = kGateEpoch;
  if (world.held) state.gate.hold = core::GateHold{"bob", "a feeling", kNow.wall};
  if (world.ask != Ask::none) state.gate.overrides.push_back(override_of(world));
  return state;
}

inline void take(World& world, const core::PlanState& state) {
  world.stage = state.stage;
  world.gate = state.gate.stage;
  world.drop = state.steps[0].status;
  world.held = state.gate.hold.has_value();
  world.ask = Ask::none;
  world.ask_late = world.ask_expired = false;
  if (state.gate.overrides.empty()) return;
  const auto& last = state.gate.overrides.back();
  world.ask = last.confirmed_by.empty() ? Ask::asked : Ask::confirmed;
  world.ask_late = last.gate_epoch != state.gate.epoch;
  world.ask_expired = last.expires <= kNow.wall;
}

inline void copy_plan(World& world, const World& from) {
  world.stage = from.stage;
  world.gate = from.gate;
  world.drop = from.drop;
  world.held = from.held;
  world.ask = from.ask;
  world.ask_late = from.ask_late;
  world.ask_expired = from.ask_expired;
}

// The plan's gate has fallen back: what was of its epoch is of an earlier one.
inline void next_epoch(World& world) {
  constexpr Row kAfter[] = {Row::none, Row::none, Row::none, Row::behind, Row::let_in};
  world.row = kAfter[static_cast<std::size_t>(world.row)];
  world.ask_late = world.ask != Ask::none;
  world.orphan_late = world.orphan != Orphan::none;
}

inline bool live(Entry entry) {
  return entry == Entry::live || entry == Entry::stale;
}
inline bool silent(Entry entry) {
  return entry != Entry::none && !live(entry);
}
inline bool set_aside(const World& world, std::size_t i) {
  return i == 0 && world.ask == Ask::confirmed && !world.ask_late && !world.ask_expired;
}

// What the evidence is, without asking the code under test.
inline bool speaks_against(const World& world, const Scope& scope, Look look) {
  std::size_t fell = 0;
  bool old = false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(scope.instances); ++i) {
    const auto& it = world.instances[i];
    fell += it.entry == Entry::fell;
    old = old || (live(it.entry) && it.reported_old && !set_aside(world, i));
  }
  const bool seen = look == Look::now && (old_session(world) || world.psql);
  return world.held || fell >= 2 || old || seen;
}

}  // namespace diastole::test::gate
