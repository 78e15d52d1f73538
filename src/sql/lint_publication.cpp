// Rules on logical replication: what subscribers get, and what a published table needs.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "contains.hpp"
#include "lint.hpp"

namespace diastole::sql {
namespace {

// The tables that a CREATE or ALTER PUBLICATION names.
std::vector<Node> tables_of(Node body) {
  std::vector<Node> tables;
  for (const Node object : body["pubobjects"]) {
    const Node relation = object.body()["pubtable"]["relation"];
    if (is_relation(relation)) tables.push_back(relation);
  }
  return tables;
}

// In any, where it is not named.
bool is_published(const core::CatalogRelation& table, std::string_view publication = {}) {
  return std::ranges::any_of(table.dependents, [&](const core::CatalogDependent& one) {
    return one.kind == core::DependentKind::publication && (publication.empty() || one.name.name == publication);
  });
}

// A partition is published with its parent.
bool is_published(const Lint& lint, const core::CatalogRelation& table) {
  return is_published(table) || std::ranges::any_of(table.parents, [&](const core::RelationName& name) {
           const core::CatalogRelation* parent = lint.known().relation(name);
           return parent != nullptr && is_published(lint, *parent);
         });
}

bool has_primary_key(const core::CatalogRelation& table) {
  return std::ranges::any_of(table.constraints, [](const core::CatalogConstraint& constraint) {
    return constraint.kind == core::ConstraintKind::primary_key;
  });
}

// A table without one cannot say which row has changed.
bool lacks_identity(const Lint& lint, const core::CatalogRelation& table) {
  if (table.kind != core::RelationKind::table) return false;
  if (lint.memory.identified.contains(table_key(lint.known().written(table.name)))) return false;
  return table.replica_identity == 'n' || (table.replica_identity == 'd' && !has_primary_key(table));
}

// What SET, by the catalog, takes out of it; the catalog may not have all that is in it.
std::vector<std::string> taken_out(const Lint& lint, const std::vector<Node>& stay) {
  std::vector<std::string> gone;
  if (lint.known().catalog() == nullptr) return gone;
  std::set<core::RelationName> kept;
  for (const Node relation : stay) {
    const core::CatalogRelation* present = lint.known().relation(relation);
    if (present == nullptr) continue;
    kept.insert(present->name);
    for (const auto* below : lint.known().descendants(*present)) kept.insert(below->name);
  }
  for (const core::CatalogRelation& table : lint.known().catalog()->relations) {
    if (!kept.contains(table.name) && is_published(table, lint.body().text("pubname")))
      gone.push_back(fmt::format("table {}", lint.known().written(table.name)));
  }
  return gone;
}

bool publishes_changes(Node options) {
  for (const Node option : options) {
    const std::string_view kinds = option.body()["arg"].body().text("sval");
    if (option.body().text("defname") == "publish") return kinds.contains("update") || kinds.contains("delete");
  }
  return true;
}

void lint_narrowing(const Lint& lint, const std::vector<Node>& tables) {
  const Node body = lint.body();
  const std::string_view action = body.text("action");
  const Blanks blanks{.object = quote_identifier(body.text("pubname")), .statement = std::string(lint.text())};
  if (!body["options"].empty()) {  // which changes are published, and under which table's name
    lint.reporter.report(kNarrowingPublication, blanks, kWarning, kPasses);
  } else if (action == "AP_DropObjects") {
    const bool all_new = !tables.empty() && std::ranges::all_of(tables, [&](Node table) {
      return lint.known().is_new(relation_name(table));
    });
    if (!all_new) lint.reporter.report(kNarrowingPublication, blanks);
  } else if (action == "AP_SetObjects") {
    std::vector<std::string> gone = taken_out(lint, tables);
    core::Finding* found =
        lint.reporter.report(kNarrowingPublication, blanks, gone.empty() ? kWarning : kError, kPasses);
    if (found == nullptr) return;
    found->concerned = std::move(gone);
    if (lint.known().catalog() == nullptr)
      found->sharper_with = fmt::format("the tables of publication {}", blanks.object);
  }
}

}  // namespace

void lint_publication(const Lint& lint) {
  const std::vector<Node> tables = tables_of(lint.body());
  const bool alters = lint.statement.parsed.tag == "AlterPublicationStmt";
  if (alters) lint_narrowing(lint, tables);
  if (alters && lint.body().text("action") == "AP_DropObjects") return;
  if (!publishes_changes(lint.body()["options"])) return;
  for (const Node table : tables) {
    const core::CatalogRelation* present = lint.known().relation(table);
    if (present == nullptr) continue;
    std::vector<const core::CatalogRelation*> all = lint.known().descendants(*present);
    all.insert(all.begin(), present);
    for (const core::CatalogRelation* one : all) {
      if (lacks_identity(lint, *one) && !is_published(lint, *one))
        lint.reporter.report(kReplicaIdentity, {.table = lint.known().written(one->name)});
    }
  }
}

void lint_replica_identity(const Lint& lint, Node definition) {
  const Node relation = lint.body()["relation"];
  const std::string table = relation_name(relation);
  const core::CatalogRelation* present = lint.known().relation(relation);
  const std::string_view kind = definition.text("identity_type");  // n: NOTHING, d: DEFAULT, the primary key
  if (kind != "n" && kind != "d") lint.memory.identified.emplace(table_key(table));
  if (kind != "n" && (kind != "d" || present == nullptr || has_primary_key(*present))) return;
  if (present != nullptr && !is_published(lint, *present)) return;
  const auto severity = present == nullptr ? kWarning : kError;
  core::Finding* found = lint.reporter.report(kReplicaIdentity, {.table = table}, severity, severity);
  if (found != nullptr && present == nullptr)
    found->sharper_with = fmt::format("the publications that {} is in", table);
}

}  // namespace diastole::sql
