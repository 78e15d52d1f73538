// What depends on something, and is there no more once the plan has come so far.
#include <algorithm>

#include "contains.hpp"
#include "known.hpp"

namespace diastole::sql {

using core::CatalogDependent;
using core::CatalogObject;
using core::DependentKind;

std::vector<const CatalogObject*> Known::objects(const ObjectName& written) const {
  std::vector<const CatalogObject*> found;
  ObjectName made = written;
  made.name = usual(std::move(made.name));
  if (catalog_ == nullptr || objects_.contain(made)) return found;
  const std::string kind = catalog_kind(written.type);
  const auto add = [&](std::string_view schema) {
    for (auto [at, end] = objects_by_name_.equal_range(written.name.name); at != end; ++at) {
      const CatalogObject& one = *at->second;
      const bool meant = one.kind == kind && one.name.schema == schema &&
                         (written.any_inputs || same_inputs(one.inputs, written.inputs));
      if (meant && !lists(dropped_, {.type = written.type, .name = one.name, .inputs = one.inputs}))
        found.push_back(&one);
    }
  };
  add(written.name.schema);  // which some have not
  if (!written.name.schema.empty()) return found;
  for (const std::string& schema : catalog_->search_path) {
    if (found.empty() || written.any_inputs) add(schema);
  }
  return found;
}

bool Known::lists(const ObjectNames& names, ObjectName object) const {
  const std::string schema = object.name.schema;
  object.name = usual(std::move(object.name));
  if (names.contain(object)) return true;
  object.name.schema.clear();
  return contains(catalog_->search_path, schema) && names.contain(object);
}

bool Known::is_gone(const ObjectName& object) const {
  return lists(dropped_, object) || lists(changed_, object);
}

bool Known::is_gone(const CatalogDependent& dependent) const {
  const core::RelationName& name = dependent.name;
  const core::RelationName holder{.schema = name.schema, .name = dependent.table.empty() ? name.name : dependent.table};
  const Learned* known = learned(holder);
  const auto gone = [&](std::string_view type, const core::RelationName& of, std::string member = {}) {
    return is_gone(
        ObjectName{.type = std::string(type), .name = of, .member = std::move(member), .inputs = dependent.inputs});
  };
  if (!dependent.table.empty() && known != nullptr && known->gone) return true;
  switch (dependent.kind) {
    case DependentKind::view:
    case DependentKind::materialized_view: return known != nullptr && (known->gone || known->made || known->replaced);
    case DependentKind::table:
    case DependentKind::foreign_table: return known != nullptr && (known->gone || known->made);
    case DependentKind::sequence: return dependent.table.empty() && known != nullptr && (known->gone || known->made);
    case DependentKind::trigger: return gone("OBJECT_TRIGGER", holder, name.name);
    case DependentKind::rule: return gone("OBJECT_RULE", holder, name.name);
    case DependentKind::policy: return gone("OBJECT_POLICY", holder, name.name);
    case DependentKind::function: return gone("OBJECT_FUNCTION", name);
    case DependentKind::statistics: return gone("OBJECT_STATISTIC_EXT", name);
    case DependentKind::publication: return gone("OBJECT_PUBLICATION", {.schema = {}, .name = name.name});
    case DependentKind::type: return gone("OBJECT_TYPE", name);
    case DependentKind::domain_constraint: return gone("OBJECT_TYPE", holder) || gone("OBJECT_TYPE", holder, name.name);
    case DependentKind::object: return gone(type_of_identity(dependent.identity), name);
    case DependentKind::index:
      return dropped_indexes_.contains(table_key(to_sql(name))) || dropped_indexes_.contains(table_key(written(name)));
    case DependentKind::attribute:
      if (gone("OBJECT_TYPE", holder)) return true;
      [[fallthrough]];
    case DependentKind::column:
    case DependentKind::column_default:
    case DependentKind::generated_column:
    case DependentKind::constraint:
    case DependentKind::foreign_key: return known != nullptr && is_gone_member(dependent, *known);
    case DependentKind::partition_key: return false;
  }
  return false;
}

// Of a column, or a constraint, that belongs to a table of which the plan has changed something.
bool Known::is_gone_member(const CatalogDependent& dependent, const Learned& holder) const {
  const std::string& name = dependent.name.name;
  const auto dropped = [&](const std::string& column) { return holder.used_columns.contains(column); };
  switch (dependent.kind) {
    case DependentKind::column:
    case DependentKind::attribute: return dropped(name) || holder.retyped.contains(name);
    case DependentKind::column_default:
    case DependentKind::generated_column: return dropped(name) || holder.defaults.contains(name);
    default: break;
  }
  const bool gone =
      std::ranges::any_of(holder.checks, [&](const Check& check) { return check.dropped && check.name == name; });
  const core::CatalogRelation* table = catalog_->relation({dependent.name.schema, dependent.table});
  const core::CatalogConstraint* constraint = table == nullptr ? nullptr : table->constraint(name);
  return gone || (constraint != nullptr && std::ranges::any_of(constraint->columns, dropped));
}

}  // namespace diastole::sql
