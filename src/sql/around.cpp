#include "around.hpp"

#include <algorithm>

#include "contains.hpp"
#include "type_name.hpp"

namespace diastole::sql {

using core::Answer;
using core::CatalogConstraint;
using core::CatalogDependent;
using core::CatalogRelation;
using core::ConstraintKind;
using core::DependentKind;
using core::LockMode;

namespace {

constexpr int kMaxViews = 50;  // one over the other

void touch_views(const CatalogRelation& relation, std::string_view column, const Known& known, Effects& effects,
                 int depth) {
  if (depth > kMaxViews) return;
  for (const CatalogDependent& dependent : relation.dependents) {
    const bool view = dependent.kind == DependentKind::view || dependent.kind == DependentKind::materialized_view;
    if (!view || !uses_column(dependent, column)) continue;
    effects.touch_too(dependent.name, LockMode::access_exclusive);
    if (const CatalogRelation* above = known.relation(dependent.name))
      touch_views(*above, {}, known, effects, depth + 1);
  }
}

}  // namespace

core::RelationName table_of(const CatalogDependent& dependent) {
  return {.schema = dependent.name.schema, .name = dependent.table.empty() ? dependent.name.name : dependent.table};
}

bool uses_column(const CatalogDependent& dependent, std::string_view column) {
  return column.empty() || dependent.columns.empty() || contains(dependent.columns, column);
}

const CatalogRelation* owner_of(DependentKind kind, std::string_view name, const Known& known) {
  if (known.catalog() == nullptr) return nullptr;
  for (const CatalogRelation& relation : known.catalog()->relations) {
    for (const CatalogDependent& dependent : relation.dependents) {
      if (dependent.kind == kind && dependent.name.name == name) return &relation;
    }
  }
  return nullptr;
}

bool has_trigger(const CatalogRelation& table, std::string_view name) {
  return std::ranges::any_of(table.dependents, [&](const CatalogDependent& dependent) {
    return dependent.kind == DependentKind::trigger && dependent.name.name == name;
  });
}

const CatalogConstraint* key_of(const CatalogDependent& dependent, const Known& known) {
  if (dependent.kind != DependentKind::foreign_key) return nullptr;
  const CatalogRelation* other = known.relation(table_of(dependent));
  return other == nullptr ? nullptr : other->constraint(dependent.name.name);
}

const CatalogConstraint* same_key(const CatalogRelation& table, const CatalogConstraint& key) {
  for (const CatalogConstraint& other : table.constraints) {
    if (other.kind == ConstraintKind::foreign_key && other.references == key.references && other.columns == key.columns)
      return &other;
  }
  return nullptr;
}

bool is_inherited(const CatalogRelation& table, const CatalogConstraint& key, const Known& known) {
  return std::ranges::any_of(table.parents, [&](const core::RelationName& name) {
    const CatalogRelation* parent = known.relation(name);
    return parent != nullptr && same_key(*parent, key) != nullptr;
  });
}

void touch_referenced(const CatalogRelation& table, LockMode lock, Answer scans, Effects& effects) {
  for (const CatalogConstraint& constraint : table.constraints) {
    if (constraint.kind == ConstraintKind::foreign_key)
      effects.touch_family_too(constraint.references, lock, scans, Reach::partitions);
  }
}

void touch_default_partition(const CatalogRelation& parent, const Known& known, Effects& effects) {
  if (!parent.default_partition) return;
  // A CHECK may prove that it holds none of the new partition's rows; that is for PostgreSQL to say.
  const bool checked = known.has_valid_check(known.written(*parent.default_partition));
  effects.touch_family_too(*parent.default_partition, LockMode::access_exclusive,
                           checked ? Answer::maybe : Answer::yes);
}

void touch_views_over(const CatalogRelation& relation, std::string_view column, const Known& known, Effects& effects) {
  touch_views(relation, column, known, effects, 0);
}

void touch_referencing(const CatalogRelation& relation, std::string_view column, LockMode lock, Effects& effects) {
  for (const CatalogDependent& dependent : relation.dependents) {
    if (dependent.kind == DependentKind::foreign_key && uses_column(dependent, column))
      effects.touch_family_too(table_of(dependent), lock);
  }
}

const core::CatalogType* find_type(const core::RelationName& name, const Known& known) {
  return known.catalog() == nullptr ? nullptr : known.catalog()->type(name);
}

std::vector<const CatalogRelation*> tables_made_of(const core::CatalogType& type, const Known& known) {
  std::vector<const CatalogRelation*> tables;
  for (const core::RelationName& name : type.used_by) {
    const CatalogRelation* table = known.relation(name);
    if (table == nullptr) continue;
    // What has a column of the type is not made of it.
    const bool has_column = std::ranges::any_of(table->columns, [&](const core::CatalogColumn& column) {
      return name_of_identifier(type_without_length(column.type)).name == type.name.name;
    });
    if (!has_column) tables.push_back(table);
  }
  return tables;
}

}  // namespace diastole::sql
