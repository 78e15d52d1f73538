// Quarantine on a target: what contract will drop has another name for a while, so that whoever still uses it fails at
// once and loudly, and the undo is one rename.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "pg_target.hpp"
#include "quarantine.hpp"

namespace diastole::postgres {
namespace {

using core::Doomed;
using core::RelationName;
using ports::GateWork;
using ports::TargetResult;

constexpr std::size_t kFollowersShown = 10;
constexpr int kMaxAttempts = 100;

// A doomed relation as the catalog has it now.
struct Found {
  std::uint32_t oid = 0;
  RelationName name;
};

std::optional<Found> find(pqxx::transaction_base& work, const std::string& relation) {
  const auto found = query(work,
                           "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n "
                           "ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
                           relation);
  if (found.empty()) return std::nullopt;
  return Found{.oid = found[0][0].as<std::uint32_t>(),
               .name = {found[0][1].as<std::string>(), found[0][2].as<std::string>()}};
}

bool has_row(const std::vector<Quarantined>& things, const Doomed& doomed) {
  return std::ranges::any_of(things, [&](const Quarantined& thing) {
    return thing.step == doomed.step.str() && thing.relation == doomed.table && thing.column == doomed.column;
  });
}

// What is still to be renamed: not what has been, not a column of a table that goes itself, and nothing twice.
struct Wanted {
  Doomed doomed;
  Found found;
};
TargetResult<std::vector<Wanted>> wanted(pqxx::transaction_base& work, const GateWork& spec) {
  const auto things = quarantined(work, spec.plan);
  std::set<std::string> whole;
  for (const auto& doomed : spec.doomed) {
    if (doomed.column.empty()) whole.insert(doomed.table);
  }
  std::set<std::pair<std::uint32_t, std::string>> seen;
  std::vector<Wanted> all;
  for (const auto& doomed : spec.doomed) {
    if (has_row(things, doomed) || (!doomed.column.empty() && whole.contains(doomed.table))) continue;
    const auto found = find(work, doomed.table);
    const bool there =
        found && (doomed.column.empty() ||
                  !query(work,
                         "SELECT FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped AND "
                         "attnum > 0",
                         found->oid, doomed.column)
                       .empty());
    if (there) {
      if (seen.emplace(found->oid, doomed.column).second) all.push_back({.doomed = doomed, .found = *found});
      continue;
    }
    // A second step that names what the first has put away already.
    const bool away = std::ranges::any_of(things, [&](const Quarantined& thing) {
      return thing.relation == doomed.table && (thing.column.empty() || thing.column == doomed.column);
    });
    if (away) continue;
    return target_fail(
        ErrorCode::conflict,
        fmt::format("{} cannot be put into quarantine: it does not exist",
                    doomed.column.empty() ? doomed.table : fmt::format("{} of {}", doomed.column, doomed.table)));
  }
  return all;
}

std::string free_name(pqxx::transaction_base& work, const PlanId& plan, const Wanted& wanted) {
  const auto day = work.exec("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')")[0][0].as<std::string>();
  const bool whole = wanted.doomed.column.empty();
  for (int attempt = 1;; ++attempt) {
    auto name = quarantine_name(whole ? wanted.found.name.name : wanted.doomed.column, day, plan, attempt);
    const auto taken =
        whole ? query(work,
                      "SELECT FROM pg_class WHERE relname = $1 AND relnamespace = (SELECT relnamespace FROM pg_class "
                      "WHERE oid = $2) UNION ALL SELECT FROM pg_type WHERE typname = $1 AND typnamespace = (SELECT "
                      "relnamespace FROM pg_class WHERE oid = $2)",
                      name, wanted.found.oid)
              : query(work, "SELECT FROM pg_attribute WHERE attname = $1 AND attrelid = $2", name, wanted.found.oid);
    if (taken.empty() || attempt == kMaxAttempts) return name;
  }
}

void put_away(pqxx::work& work, const PlanId& plan, const Wanted& wanted) {
  const auto& [doomed, found] = wanted;
  const auto new_name = free_name(work, plan, wanted);
  const auto place = work.quote_name(found.name.schema) + "." + work.quote_name(found.name.name);
  work.exec(doomed.column.empty() ? fmt::format("ALTER TABLE {} RENAME TO {}", place, work.quote_name(new_name))
                                  : fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", place,
                                                work.quote_name(doomed.column), work.quote_name(new_name)));
  query(work,
        "INSERT INTO diastole.quarantine (plan, step, relation, column_name, place, relation_oid, schema_name, "
        "relation_name, new_name, at) SELECT $1, $2, $3, $4, coalesce((SELECT max(place) FROM diastole.quarantine "
        "WHERE plan = $1), 0) + 1, $5, $6, $7, $8, clock_timestamp()",
        plan.str(), doomed.step.str(), doomed.table, doomed.column, found.oid, found.name.schema, found.name.name,
        new_name);
}

// The relation and what has its columns from it.
std::vector<const core::CatalogRelation*> family(const core::CatalogSnapshot& snapshot, const RelationName& name) {
  std::vector<const core::CatalogRelation*> all;
  if (const auto* relation = snapshot.relation(name)) all.push_back(relation);
  for (std::size_t at = 0; at < all.size(); ++at) {
    for (const auto& child : all[at]->children) {
      const auto* relation = snapshot.relation(child);
      if (relation != nullptr && std::ranges::find(all, relation) == all.end()) all.push_back(relation);
    }
  }
  return all;
}

bool is_doomed(const std::vector<Wanted>& all, const std::string& follower) {
  return std::ranges::any_of(all, [&](const Wanted& wanted) {
    const auto name = wanted.found.name.schema + "." + wanted.found.name.name;
    return wanted.doomed.column.empty() && (follower == "view " + name || follower == "materialized view " + name);
  });
}

}  // namespace

// Before the transaction that renames, since it takes its time and that one keeps everybody out. A view that is made
// between the two hides a use, no more: the drop itself would still be refused for it.
TargetResult<void> PgTarget::look_for_followers(const GateWork& spec) {
  std::vector<Wanted> all;
  core::CatalogRequest request;
  auto looked = inspect([&](Connection& connection) -> TargetResult<void> {
    pqxx::nontransaction session(connection.raw());
    auto found = wanted(session, spec);
    if (!found) return std::unexpected(std::move(found.error()));
    all = std::move(*found);
    for (const auto& one : all) request.relations.push_back(one.found.name);
    return {};
  });
  if (!looked || all.empty()) return looked;
  const auto snapshot = catalog(request);
  if (!snapshot) return std::unexpected(snapshot.error());
  std::set<std::string> names;
  looked = inspect([&](Connection& connection) -> TargetResult<void> {
    pqxx::nontransaction session(connection.raw());
    for (const auto& [doomed, found] : all) {
      std::vector<RelationName> relations;
      for (const auto* relation : family(*snapshot, found.name)) {
        relations.push_back(relation->name);
        for (auto& follower : followers(*relation, doomed.column)) names.insert(std::move(follower));
      }
      if (doomed.column.empty()) continue;
      for (auto& function : trigger_functions(session, relations, doomed.column)) names.insert(std::move(function));
    }
    return {};
  });
  if (!looked) return looked;
  std::erase_if(names, [&](const std::string& name) { return is_doomed(all, name); });
  if (names.empty()) return {};
  std::vector<std::string> some(names.begin(), names.end());
  if (some.size() > kFollowersShown) some.resize(kFollowersShown);
  return target_fail(
      ErrorCode::conflict,
      fmt::format("quarantine on {} would break these, or they would follow the new name and hide that it is used: "
                  "{}{}; drop or change them with a plan before this one, or leave quarantine out of this plan's gate",
                  name_, fmt::join(some, "; "),
                  names.size() > some.size() ? fmt::format("; and {} more", names.size() - some.size()) : ""));
}

TargetResult<std::vector<std::string>> PgTarget::quarantine(const GateWork& work, std::stop_token stop) {
  if (auto looked = look_for_followers(work); !looked) return std::unexpected(std::move(looked.error()));
  std::vector<std::string> renamed;
  const auto id = gate_id(work);
  const UnitSpec spec{.id = id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
  auto done = transact(spec, stop, [&](Unit& unit) -> TargetResult<void> {
    if (auto held = hold_gate(unit.work, work.plan, work.gate_epoch); !held) return held;
    const auto all = wanted(unit.work, work);
    if (!all) return std::unexpected(all.error());
    for (const auto& one : *all) put_away(unit.work, work.plan, one);
    auto things = quarantined(unit.work, work.plan);
    std::ranges::reverse(things);
    for (const auto& thing : things) {
      renamed.push_back(fmt::format("{}{} → {}", thing.relation,
                                    thing.column.empty() ? "" : "." + unit.work.quote_name(thing.column),
                                    thing.new_name));
    }
    return {};
  });
  if (!done) return std::unexpected(not_the_owner(std::move(done.error())));
  return renamed;
}

// Also what a later step drops, where this one's statements name its relation: they mean the old name. The later step
// follows at once, so that nothing is lost by it.
TargetResult<void> PgTarget::release_for(Unit& unit, const ports::StatementWork& work) {
  if (work.id.direction != ports::Direction::forward) return {};
  const auto things = quarantined(unit.work, work.id.plan);
  for (const auto& thing : things) {
    const bool named = std::ranges::any_of(work.statements, [&](const core::Statement& statement) {
      return std::ranges::any_of(statement.touches,
                                 [&](const core::Touch& touch) { return touch.relation == thing.relation; });
    });
    if (thing.step != work.id.step.str() && !named) continue;
    if (auto back = release(unit.work, work.id.plan, thing, log_, name_); !back) return back;
  }
  return {};
}

}  // namespace diastole::postgres
