// What the gate's acts do to the target, as ports::Target and its adapter have it.
#pragma once

#include <algorithm>
#include <optional>

#include "model/gate_rules.hpp"

namespace diastole::test::gate {

class ModelTarget {
 public:
  ModelTarget(const Scope& scope, const Rules& rules, const core::Plan& plan, Exploration& paths)
      : scope_(scope), rules_(rules), plan_(plan), paths_(paths) {}

  bool keep_out(World& world, Lease by, bool late) {
    if (!admits(world, by)) return false;
    const bool over = late ? world.row >= Row::let_in : world.row == Row::ahead;
    if (rules_.checks_gate && over) return false;
    world.row = late ? Row::behind : Row::kept_out;
    if (scope_.by_role) world.login = false;
    return true;
  }

  bool let_in(World& world, Lease by, bool late) {
    if (!admits(world, by)) return false;
    if (late ? world.row >= Row::let_in : world.row == Row::ahead) return true;
    world.row = late ? Row::let_in : Row::ahead;
    if (rules_.ends_quarantine && world.column == Column::renamed) world.column = Column::there;
    if (rules_.gives_back_roles) world.login = true;
    return true;
  }

  bool quarantine(World& world, Lease by, bool late) {
    if (!admits(world, by)) return false;
    if (rules_.checks_gate && world.row != (late ? Row::behind : Row::kept_out)) return false;
    if (world.column == Column::there) world.column = Column::renamed;
    return true;
  }

  // Drops, or says how the runner finds it refused.
  std::optional<Hand> drop(World& world, Lease by, bool late, const core::GateVerdict& seen) {
    if (!admits(world, by)) return Hand::run_refused;
    if (world.column == Column::dropped) return {};
    const bool current = world.row == Row::kept_out && !late;
    if (rules_.checks_gate && !current) return rules_.leads_back_when_lost ? Hand::run_contradicted : Hand::run_refused;
    if (rules_.looks_last) {
      const auto drain = core::look_at_drain(plan_.gate, scan(world, scope_, Look::now), {});
      const bool login = rules_.looks_at_logins && !drain.obstacles.empty();
      if (!seen.contradictions.empty() || login) return Hand::run_contradicted;
      if (!seen.reasons.empty()) return Hand::run_refused;
    }
    require(world.lease == by && current, kS2, "the drop");
    require(!old_session(world) && !world.psql, kS2, "the drop");
    world.column = Column::dropped;
    return {};
  }

 private:
  void require(bool holds, const char* invariant, const char* how) {
    if (!holds) paths_.broken(invariant, how);
  }

  // Whether a transaction under this lease may go on; the first of a new lease makes it the target's.
  bool admits(World& world, Lease by) {
    if (rules_.checks_lease && world.lease > by) return false;
    require(world.lease <= by, kS8, "a transaction");
    world.lease = std::max(world.lease, by);
    return true;
  }

  const Scope& scope_;
  const Rules& rules_;
  const core::Plan& plan_;
  Exploration& paths_;
};

}  // namespace diastole::test::gate
