// Rules on names that old code uses and that change.
#include <fmt/format.h>

#include <array>

#include "diastole/sql/analysis.hpp"
#include "lint.hpp"
#include "lint_dependents.hpp"
#include "safe_form.hpp"

namespace diastole::sql {
namespace {

constexpr auto kRenameRules = std::to_array<ObjectRule>({
    {"OBJECT_TABLE", &kRenamingTable},
    {"OBJECT_VIEW", &kRenamingTable},
    {"OBJECT_MATVIEW", &kRenamingTable},
    {"OBJECT_FOREIGN_TABLE", &kRenamingTable},
    {"OBJECT_COLUMN", &kRenamingColumn},
    {"OBJECT_SCHEMA", &kRenamingSchema},
});

// A view's columns are its query's.
bool is_view(const Lint& lint) {
  const std::string_view type = lint.body().text("relationType");
  if (type == "OBJECT_VIEW" || type == "OBJECT_MATVIEW") return true;
  const core::CatalogRelation* present = lint.known().relation(lint.body()["relation"]);
  return present != nullptr &&
         (present->kind == core::RelationKind::view || present->kind == core::RelationKind::materialized_view);
}

std::vector<core::SafeStep> renamed_view_column(const Lint& lint, const std::string& view) {
  const core::CatalogRelation* present = lint.known().relation(lint.body()["relation"]);
  const bool materialized = lint.body().text("relationType") == "OBJECT_MATVIEW" ||
                            (present != nullptr && present->kind == core::RelationKind::materialized_view);
  const std::string old = quote_identifier(lint.body().text("subname"));
  const std::string fresh = quote_identifier(lint.body().text("newname"));
  StepWriter steps(lint.known(), view);
  if (!materialized) {
    steps.in_phase(kExpand);
    steps.sql(
        fmt::format("CREATE OR REPLACE VIEW {} AS <its query, with {} AS {} behind its columns>", view, old, fresh),
        "new code uses this name");
    return steps.take();
  }
  steps.in_phase(kContract);
  steps.sql(std::string(lint.text()));
  return steps.take();
}

std::vector<core::SafeStep> renamed_column(const Lint& lint, const std::string& table) {
  const std::string_view old = lint.body().text("subname");
  const std::string_view fresh = lint.body().text("newname");
  const core::CatalogRelation* present = lint.known().table(table);
  const core::CatalogColumn* column = present == nullptr ? nullptr : present->column(old);
  const std::string type = lint.known().column_type(table, old);
  const std::string from = quote_identifier(old);
  const std::string to = quote_identifier(fresh);
  StepWriter steps(lint.known(), table);
  steps.in_phase(kExpand);
  steps.sql(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table, to, type.empty() ? "<type>" : type));
  steps.backfill(fresh, from, fmt::format("{} IS DISTINCT FROM {}", to, from), "once every instance writes both");
  steps.in_phase(kContract);
  if (column != nullptr && column->not_null) steps.set_not_null(fresh);
  steps.append(drop_column_form(lint, table, old));
  return steps.take();
}

// ALTER TABLE renames indexes and sequences too.
const Rule* renaming_rule(const Lint& lint, std::string_view type) {
  if (type == "OBJECT_TABLE" && of_index(lint)) return nullptr;
  const core::CatalogRelation* present = lint.known().relation(lint.body()["relation"]);
  if (type == "OBJECT_TABLE" && present != nullptr && present->kind == core::RelationKind::sequence)
    return &kRenamingObject;
  return rule_for(kRenameRules, type, lint.statement.statement.destructive, kRenamingObject);
}

}  // namespace

void lint_rename(const Lint& lint) {
  const Node body = lint.body();
  const Node relation = body["relation"];
  const std::string table = is_relation(relation) ? relation_name(relation) : std::string{};
  const std::string_view type = body.text("renameType");
  const auto renaming = renamed_object(lint.statement.parsed);
  if (lint.known().is_new(table) || (renaming && lint.known().is_new(renaming->from))) return;
  if (type == "OBJECT_COLUMN" && lint.known().is_new_column(table, body.text("subname"))) return;
  const Rule* rule = renaming_rule(lint, type);
  if (rule == nullptr) return;
  core::Finding* found = lint.reporter.report(
      *rule, {.table = table,
              .column = name_or(type == "OBJECT_COLUMN" ? body.text("subname") : "", ""),
              .object = type == "OBJECT_SCHEMA" ? quote_identifier(body.text("subname")) : std::string{},
              .kind = lint.statement.statement.kind,
              .name = beside(table, body.text("newname")),
              .statement = std::string(lint.text())});
  if (found == nullptr || rule != &kRenamingColumn) return;
  if (is_view(lint)) return static_cast<void>(found->safe_form = renamed_view_column(lint, table));
  found->safe_form = renamed_column(lint, table);
  if (lint.known().column_type(table, body.text("subname")).empty())
    found->sharper_with = fmt::format("the type of {}.{}", table, quote_identifier(body.text("subname")));
}

// ALTER … SET SCHEMA gives a table another name, too.
void lint_set_schema(const Lint& lint) {
  const Node relation = lint.body()["relation"];
  const std::string table = is_relation(relation) ? relation_name(relation) : std::string{};
  const auto renaming = renamed_object(lint.statement.parsed);
  if (lint.known().is_new(table) || (renaming && lint.known().is_new(renaming->from))) return;
  if (!lint.statement.statement.destructive) return;
  const core::CatalogRelation* present = lint.known().relation(relation);
  const bool sequence = present != nullptr && present->kind == core::RelationKind::sequence;
  const Rule* rule =
      sequence ? &kRenamingObject : rule_for(kRenameRules, lint.body().text("objectType"), true, kRenamingObject);
  const std::string schema = quote_identifier(lint.body().text("newschema"));
  lint.reporter.report(*rule, {.table = table,
                               .kind = lint.statement.statement.kind,
                               .name = schema + "." + quote_identifier(relation.text("relname")),
                               .statement = std::string(lint.text())});
}

}  // namespace diastole::sql
