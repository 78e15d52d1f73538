#include "use_index.hpp"

#include <algorithm>
#include <iterator>

#include "builtin_functions.hpp"
#include "diastole/sql/analysis.hpp"

namespace diastole::sql {

using core::CatalogRelation;
using core::DependentKind;

std::vector<std::string> name_parts(std::string_view text) {
  auto parts = split_identifier(text, 2);
  if (!parts) return {};
  for (std::string& name : *parts) {
    if (!name.starts_with('"')) continue;
    name = name.substr(1, name.size() - 2);
    for (std::size_t at = 0; (at = name.find("\"\"", at)) != std::string::npos; ++at) name.erase(at, 1);
  }
  return *parts;
}

UseIndex::UseIndex(const core::CatalogSnapshot& catalog) : catalog_(catalog) {
  relations_.reserve(catalog.relations.size());
  for (const CatalogRelation& relation : catalog.relations) relations_[relation.name.name].push_back(&relation);
  for (const auto& function : catalog.functions) functions_[function.name.name].push_back(&function);
  for (const CatalogRelation& relation : catalog.relations) {
    for (const core::RelationName& name : relation.parents) {
      if (const auto* parent = this->relation(name.schema, name.name)) parents_[&relation].push_back(parent);
    }
    for (const core::RelationName& name : relation.children) {
      if (const auto* child = this->relation(name.schema, name.name)) parents_[child].push_back(&relation);
    }
    for (const core::CatalogDependent& dependent : relation.dependents) {
      const Hold hold{&relation, &dependent};
      if (dependent.kind == DependentKind::view || dependent.kind == DependentKind::materialized_view) {
        // By its full name: a dependent's schema is always there.
        if (const auto* view = this->relation(dependent.name.schema, dependent.name.name)) below_[view].push_back(hold);
      } else if (dependent.kind == DependentKind::function) {
        mentions_[dependent.name.name].push_back(hold);
      } else if (dependent.kind == DependentKind::sequence) {
        owned_[dependent.name.name].push_back(hold);
        sequences_.push_back(hold);
      }
    }
  }
}

bool UseIndex::on_path(std::string_view schema) const {
  return std::ranges::find(catalog_.search_path, schema) != catalog_.search_path.end();
}

const CatalogRelation* UseIndex::relation(std::string_view schema, std::string_view name) const {
  const auto found = relations_.find(name);
  if (found == relations_.end()) return nullptr;
  const auto in = [&](std::string_view wanted) -> const CatalogRelation* {
    for (const CatalogRelation* candidate : found->second) {
      if (candidate->name.schema == wanted) return candidate;
    }
    return nullptr;
  };
  if (!schema.empty()) return in(schema);
  for (const std::string& each : catalog_.search_path) {
    if (const CatalogRelation* relation = in(each)) return relation;
  }
  return nullptr;
}

const CatalogRelation* UseIndex::row_type(std::string_view type) const {
  while (type.ends_with("[]")) type.remove_suffix(2);
  if (const CatalogRelation* plain = relation({}, type)) return plain;
  if (!type.contains('.') && !type.contains('"')) return nullptr;
  const std::vector<std::string> parts = name_parts(type);
  if (parts.empty()) return nullptr;
  return parts.size() == 2 ? relation(parts[0], parts[1]) : relation({}, parts[0]);
}

const UseIndex::Holds& UseIndex::below(const CatalogRelation& view) const {
  static const Holds none;
  const auto found = below_.find(&view);
  return found == below_.end() ? none : found->second;
}

UseIndex::Holds UseIndex::owners(std::string_view schema, std::string_view sequence) const {
  const auto found = owned_.find(sequence);
  if (found == owned_.end()) return {};
  if (!schema.empty()) {
    Holds holds = found->second;
    std::erase_if(holds, [&](const Hold& hold) { return hold.dependent->name.schema != schema; });
    return holds;
  }
  for (const std::string& each : catalog_.search_path) {
    if (Holds holds = owners(each, sequence); !holds.empty()) return holds;
  }
  return found->second;  // off the path: nobody else has one of that name
}

UseIndex::Function UseIndex::function(std::string_view schema, std::string_view name) const {
  if (schema == "pg_catalog" || schema == "information_schema") return {Function::Kind::builtin, {}};
  const auto fits = [&](const core::RelationName& candidate) {
    return schema.empty() ? on_path(candidate.schema) : candidate.schema == schema;
  };
  bool known = false;
  if (const auto found = functions_.find(name); found != functions_.end()) {
    known = std::ranges::any_of(found->second, [&](const auto* each) { return fits(each->name); });
  }
  Holds mentions;
  if (const auto found = mentions_.find(name); found != mentions_.end()) {
    std::ranges::copy_if(found->second, std::back_inserter(mentions),
                         [&](const Hold& hold) { return fits(hold.dependent->name); });
  }
  // One of the user's may overload a built-in one; which is called depends on types, so that the user's counts.
  if (known || !mentions.empty()) return {Function::Kind::known, std::move(mentions)};
  if (schema.empty() && builtin_function(name) != nullptr) return {Function::Kind::builtin, {}};
  return {};
}

bool UseIndex::is_above(const CatalogRelation& parent, const CatalogRelation& child) const {
  std::vector<const CatalogRelation*> seen{&child};
  for (std::size_t at = 0; at < seen.size(); ++at) {
    if (seen[at] == &parent) return true;
    const auto found = parents_.find(seen[at]);
    if (found == parents_.end()) continue;
    for (const CatalogRelation* above : found->second) {
      if (std::ranges::find(seen, above) == seen.end()) seen.push_back(above);
    }
  }
  return false;
}

bool UseIndex::related(const CatalogRelation& one, const CatalogRelation& other) const {
  return is_above(one, other) || is_above(other, one);
}

}  // namespace diastole::sql
