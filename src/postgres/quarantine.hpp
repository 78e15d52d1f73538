// What is renamed before it is dropped: names, and the rows of diastole.quarantine that say how to undo it.
#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/core/catalog.hpp"
#include "diastole/ports/log.hpp"
#include "diastole/ports/target.hpp"

namespace diastole::postgres {

// A row of diastole.quarantine.
struct Quarantined {
  std::string step;
  std::string relation;  // as the plan has it
  std::string column;    // empty: the relation itself
  std::uint32_t oid = 0;
  core::RelationName name;  // before
  std::string new_name;
};

// "display_name__dropped_20261125_users_split": what it was, when (the target's day, UTC) and for which plan it went,
// in at most 63 bytes and no broken UTF-8. `attempt` from 2 on is said at the end, where the name was taken.
[[nodiscard]] std::string quarantine_name(std::string_view old_name, std::string_view day, const PlanId& plan,
                                          int attempt = 1);

// A plan's things, in the order in which their names come back.
[[nodiscard]] std::vector<Quarantined> quarantined(pqxx::transaction_base& work, const PlanId& plan);

// Gives one its name back and forgets it. What is gone, or has its name already, is only forgotten. conflict where the
// name is somebody else's by now.
[[nodiscard]] ports::TargetResult<void> release(pqxx::work& work, const PlanId& plan, const Quarantined& thing,
                                                ports::Log& log, const std::string& target);

// What of a relation that is doomed (of its column, where one is named) would break by a new name, or follow it and go
// on working so that its use does not show; "view public.names", "function f(integer), by its text". Not what belongs
// to it and is dropped with it: indexes, constraints, defaults, sequences, statistics; nor other tables' foreign keys,
// which nobody reads it by.
[[nodiscard]] std::vector<std::string> followers(const core::CatalogRelation& relation, const std::string& column);

// The trigger functions of the relations that name the column, in their bodies or among the triggers' arguments:
// NEW.name is no text that names the table.
[[nodiscard]] std::vector<std::string> trigger_functions(pqxx::transaction_base& work,
                                                         const std::vector<core::RelationName>& relations,
                                                         const std::string& column);

// A rename that PostgreSQL refuses for want of rights is a conflict, with what to grant.
[[nodiscard]] ports::TargetError not_the_owner(ports::TargetError error);

// The session's name for what a gate does on its target.
[[nodiscard]] ports::WorkId gate_id(const ports::GateWork& work);
// Holds the gate's row until the transaction ends; conflict where this epoch of it has no effect any more.
[[nodiscard]] ports::TargetResult<void> hold_gate(pqxx::work& work, const PlanId& plan, std::int64_t epoch);

}  // namespace diastole::postgres
