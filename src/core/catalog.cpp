#include "diastole/core/catalog.hpp"

#include <algorithm>

namespace diastole::core {
namespace {

template <typename Items>
const auto* by_name(const Items& items, std::string_view wanted) {
  const auto found = std::ranges::find(items, wanted, [](const auto& item) -> std::string_view { return item.name; });
  return found == items.end() ? nullptr : &*found;
}

// The one in the schema that is written, or in the first of the search_path that has one.
template <typename Find>
auto resolve(const CatalogSnapshot& catalog, const RelationName& wanted, Find find) {
  if (!wanted.schema.empty()) return find(wanted);
  for (const std::string& schema : catalog.search_path) {
    if (auto found = find({schema, wanted.name}); found) return found;
  }
  return decltype(find(wanted)){};
}

template <typename Items>
const auto* by_full_name(const CatalogSnapshot& catalog, const Items& items, const RelationName& wanted) {
  using Item = typename Items::value_type;
  return resolve(catalog, wanted, [&](const RelationName& name) -> const Item* {
    const auto found = std::ranges::find(items, name, &Item::name);
    return found == items.end() ? nullptr : &*found;
  });
}

}  // namespace

std::string_view to_string(DependentKind kind) {
  switch (kind) {
    case DependentKind::view: return "view";
    case DependentKind::materialized_view: return "materialized view";
    case DependentKind::rule: return "rule";
    case DependentKind::function: return "function";
    case DependentKind::trigger: return "trigger";
    case DependentKind::policy: return "policy";
    case DependentKind::column_default: return "default";
    case DependentKind::generated_column: return "generated column";
    case DependentKind::foreign_key: return "foreign key";
    case DependentKind::sequence: return "sequence";
    case DependentKind::statistics: return "statistics";
    case DependentKind::publication: return "publication";
    case DependentKind::partition_key: return "partition key";
    case DependentKind::table: return "table";
    case DependentKind::foreign_table: return "foreign table";
    case DependentKind::column: return "column";
    case DependentKind::constraint: return "constraint";
    case DependentKind::index: return "index";
    case DependentKind::type: return "type";
    case DependentKind::attribute: return "attribute";
    case DependentKind::domain_constraint: return "domain constraint";
    case DependentKind::object: return "object";
  }
  return "";
}

std::string_view to_string(RelationKind kind) {
  switch (kind) {
    case RelationKind::table: return "table";
    case RelationKind::partitioned_table: return "partitioned table";
    case RelationKind::view: return "view";
    case RelationKind::materialized_view: return "materialized view";
    case RelationKind::foreign_table: return "foreign table";
    case RelationKind::sequence: return "sequence";
  }
  return "";
}

const CatalogColumn* CatalogRelation::column(std::string_view wanted) const {
  return by_name(columns, wanted);
}
const CatalogIndex* CatalogRelation::index(std::string_view wanted) const {
  return by_name(indexes, wanted);
}
const CatalogConstraint* CatalogRelation::constraint(std::string_view wanted) const {
  return by_name(constraints, wanted);
}

const CatalogRelation* CatalogSnapshot::relation(const RelationName& wanted) const {
  return by_full_name(*this, relations, wanted);
}

CatalogSnapshot::IndexPlace CatalogSnapshot::index(const RelationName& wanted) const {
  const auto in_schema = [&](const RelationName& name) -> std::optional<IndexPlace> {
    for (const CatalogRelation& table : relations) {
      if (table.name.schema != name.schema) continue;
      if (const CatalogIndex* found = table.index(name.name)) return IndexPlace{&table, found};
    }
    return std::nullopt;
  };
  return resolve(*this, wanted, in_schema).value_or(IndexPlace{});
}

const CatalogFunction* CatalogSnapshot::function(const RelationName& wanted) const {
  return by_full_name(*this, functions, wanted);
}

const CatalogType* CatalogSnapshot::type(const RelationName& wanted) const {
  return by_full_name(*this, types, wanted);
}

}  // namespace diastole::core
