#include "type_change.hpp"

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::Answer;

// USING c, USING c::new_type and no USING at all say the same.
bool is_plain(Node expression, std::string_view column, std::string_view to) {
  if (!expression) return true;
  if (expression.tag() == "TypeCast" && type_name(expression.body()["typeName"]) == to)
    return is_plain(expression.body()["arg"], column, to) && static_cast<bool>(expression.body()["arg"]);
  return expression.tag() == "ColumnRef" && last_name(expression.body()["fields"]) == column;
}

// Zones that have never been anything else, so that timestamps with and without are the same bits.
bool in_utc(const core::CatalogSnapshot* catalog) {
  constexpr auto kUtc = std::to_array<std::string_view>(
      {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu",
       "Greenwich", "Etc/Greenwich", "GMT0", "Etc/GMT0", "GMT+0", "Etc/GMT+0", "GMT-0", "Etc/GMT-0"});
  return catalog != nullptr && contains(kUtc, catalog->time_zone);
}

// What a domain is over, through all domains: a value of a domain is stored as one of that.
std::string stored_as(std::string type, const core::CatalogSnapshot* catalog) {
  constexpr int kMaxDomains = 50;
  for (int i = 0; catalog != nullptr && i < kMaxDomains; ++i) {
    const core::CatalogType* found = catalog->type(name_of_identifier(type));
    if (found == nullptr || found->kind != core::CatalogType::Kind::domain) break;
    type = found->base;
  }
  return type;
}

// Whether the values stay as they are. Those of a domain with constraints are checked, for which PostgreSQL has no way
// but to write them again; enums and composite types are turned into text and back.
Answer rewrites_for(const std::string& from, const std::string& to, const core::CatalogSnapshot* catalog) {
  if (from == to) return Answer::no;
  const core::CatalogType* target = catalog == nullptr ? nullptr : catalog->type(name_of_identifier(to));
  if (target != nullptr && target->constrained) return Answer::yes;
  const std::string old = stored_as(from, catalog);
  const std::string next = stored_as(to, catalog);
  const Answer answer = change_rewrites(old, next, in_utc(catalog));
  if (answer != Answer::maybe || catalog == nullptr) return answer;
  const auto is_own = [&](const std::string& type) {
    const core::CatalogType* found = catalog->type(name_of_identifier(type));
    return found != nullptr && found->kind != core::CatalogType::Kind::other;
  };
  return is_own(old) || is_own(next) ? Answer::yes : Answer::maybe;
}

// A partition's part of an index of its parent's.
bool is_inherited(const core::CatalogIndex& index, const core::CatalogRelation& table, const Known& known) {
  return !table.partition_bound.empty() && std::ranges::any_of(table.parents, [&](const core::RelationName& name) {
    const core::CatalogRelation* parent = known.relation(name);
    return parent != nullptr && std::ranges::any_of(parent->indexes, [&](const core::CatalogIndex& one) {
             return one.columns == index.columns && one.unique == index.unique && one.uses == index.uses;
           });
  });
}

// Whether the index is built anew where the table is not. One with expressions or a predicate always is, and so is a
// part of a partitioned index.
bool rebuilds(const core::CatalogIndex& index, const core::CatalogRelation& table, std::string_view column,
              bool same_operators, const Known& known) {
  const bool in_key = contains(index.columns, column);
  const bool plain =
      !index.partial && !contains(index.columns, "") && index.valid && !is_inherited(index, table, known);
  if (!in_key && !contains(index.uses, column)) return false;
  return !plain || (in_key && !same_operators);
}

}  // namespace

TypeChange type_change(const Known& known, std::string_view table, std::string_view column, Node definition) {
  const core::CatalogSnapshot* catalog = known.catalog();
  TypeChange change;
  change.from = known.column_type(table, column);
  change.to = type_name(definition["typeName"]);
  const bool plain = is_plain(definition["raw_default"], column, change.to);
  if (!plain) change.rewrites = change.scans = change.checks_keys = Answer::yes;
  if (change.from.empty() || !plain) return change;
  const std::string old = stored_as(change.from, catalog);
  const std::string next = stored_as(change.to, catalog);
  change.widens = widens(old, next);
  change.rewrites = change.scans = rewrites_for(change.from, change.to, catalog);
  // Another collation is another order; which one the column has now is not known.
  const bool same_operators = keeps_indexes(old, next) && !definition["collClause"];
  change.checks_keys = same_operators ? change.rewrites : Answer::yes;
  const core::CatalogRelation* present = known.table(table);
  if (present == nullptr) return change;
  const auto builds = [&](const core::CatalogIndex& index) {
    return rebuilds(index, *present, column, same_operators, known);
  };
  change.builds_index = std::ranges::any_of(present->indexes, builds);
  if (change.builds_index) change.scans = Answer::yes;
  for (const core::CatalogConstraint& constraint : present->constraints) {
    const bool check = constraint.kind == core::ConstraintKind::check && constraint.valid;
    if (!check || !contains(constraint.columns, column)) continue;
    change.check = constraint.name;
    change.scans = Answer::yes;
  }
  return change;
}

}  // namespace diastole::sql
