// The gate's core as the model asks it: each question once, since a million worlds ask few different ones.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "model/gate_rules.hpp"

namespace diastole::test::gate {

class AskedCore {
 public:
  AskedCore(const Scope& scope, const Rules& rules, const core::Plan& plan)
      : scope_(scope), rules_(rules), plan_(plan) {}

  const core::GateVerdict& verdict(const World& world, Look look) {
    Key key = static_cast<Key>(look);
    const auto put = [&](auto value, unsigned bits) { key = key << bits | static_cast<Key>(value); };
    for (const auto& it : world.instances) {
      put(it.session ? it.process : Process::dead, 2);
      put(it.entry, 3);
      put(it.reported_old, 1);
    }
    for (const bool bit : {world.psql, world.watched, world.held, world.ask_late, world.ask_expired, world.login})
      put(bit, 1);
    put(world.soak, 3);
    put(world.ask, 2);
    const auto [found, fresh] = verdicts_.try_emplace(key);
    if (!fresh) return found->second;
    found->second = gate::evaluate(rules_, plan_, world, scope_, look);
    // What it says to people is of no use here, and long.
    for (auto* reasons : {&found->second.reasons, &found->second.contradictions}) {
      for (auto& reason : *reasons) {
        const auto kind = reason.kind;
        reason = {};
        reason.kind = kind;
      }
    }
    return found->second;
  }

  struct Decided {
    World plan;  // of which the plan's fields count
    core::Action action;
    bool fences = false;
    std::string refused;
  };

  // `elapsed`: the time of quarantine, by the target's clock.
  const Decided& decided(const World& world, const core::GateVerdict& seen, bool elapsed) {
    Key key = 0;
    const auto put = [&](auto value, unsigned bits) { key = key << bits | static_cast<Key>(value); };
    put_plan(world, put);
    for (const bool bit : {seen.open(), !seen.contradictions.empty(), world.last_look, world.drain_failed, elapsed})
      put(bit, 1);
    const auto [found, fresh] = decisions_.try_emplace(key);
    if (!fresh) return found->second;
    const auto state = plan_state(plan_, world);
    core::Observation observation;
    observation.gate = seen;
    observation.preflight = core::Preflight{core::Phase::contract, kNow.mono, {}};
    if (elapsed) observation.quarantined_for = Milliseconds{864'000'000};
    if (world.last_look) observation.last_look.emplace_back();
    if (world.drain_failed) observation.drain_failed.emplace_back();
    auto decision = rules_.decide(state, observation, kNow);
    auto& out = found->second;
    out.action = decision.action;
    for (const auto& event : decision.events) out.fences |= std::holds_alternative<core::GateFencing>(event);
    const auto next = core::evolve(state, decision.events, kNow.wall);
    if (next) {
      take(out.plan, *next);
    } else {
      out.refused = next.error().message;
    }
    return out;
  }

  // An outcome that the plan has no place for any more is lost.
  bool append(World& world, const core::Event& event) {
    Key key = event.index();
    put_plan(world, [&](auto value, unsigned bits) { key = key << bits | static_cast<Key>(value); });
    const auto [found, fresh] = appended_.try_emplace(key);
    if (fresh) {
      if (const auto next = core::evolve(plan_state(plan_, world), event, kNow.wall)) {
        found->second.emplace();
        take(*found->second, *next);
      }
    }
    if (found->second) copy_plan(world, *found->second);
    return found->second.has_value();
  }

  // What a person asks for: whether it changes anything, or why what command says is not accepted.
  Result<bool> asks(World& world, const core::Command& asked) const {
    const auto state = plan_state(plan_, world);
    const auto events = core::command(state, asked);
    if (!events || events->empty()) return false;
    const auto next = core::evolve(state, *events, kNow.wall);
    if (!next) return std::unexpected(next.error());
    take(world, *next);
    return true;
  }

 private:
  template <typename Put>
  static void put_plan(const World& world, Put put) {
    put(world.stage, 4);
    put(world.gate, 3);
    put(world.drop, 3);
    put(world.ask, 2);
    for (const bool bit : {world.held, world.ask_late, world.ask_expired}) put(bit, 1);
  }

  const Scope& scope_;
  const Rules& rules_;
  const core::Plan& plan_;
  std::unordered_map<Key, core::GateVerdict> verdicts_;
  std::unordered_map<Key, Decided> decisions_;
  std::unordered_map<Key, std::optional<World>> appended_;
};

}  // namespace diastole::test::gate
