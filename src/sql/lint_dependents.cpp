// What hangs on an object that is dropped.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "around.hpp"
#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"
#include "lint.hpp"
#include "safe_form.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::CatalogDependent;
using core::CatalogRelation;
using core::DependentKind;

std::string described(const CatalogDependent& dependent) {
  std::string text = fmt::format("{} {}", to_string(dependent.kind), to_sql(dependent.name));
  if (!dependent.table.empty())
    text = fmt::format("{} {} of {}", to_string(dependent.kind), quote_identifier(dependent.name.name),
                       to_sql({dependent.name.schema, dependent.table}));
  if (!dependent.certain) text += " (its text names it)";
  return text;
}

// What PostgreSQL refuses to leave without what it hangs on. Of a column only what uses it depends on it.
bool blocks(const CatalogDependent& dependent, bool column) {
  switch (dependent.kind) {
    case DependentKind::view:
    case DependentKind::materialized_view:
    case DependentKind::foreign_key:
    case DependentKind::column_default: return true;  // of a sequence
    case DependentKind::function: return dependent.certain;
    case DependentKind::rule:
    case DependentKind::policy:
    case DependentKind::trigger:
    case DependentKind::generated_column:
    case DependentKind::partition_key: return column;
    case DependentKind::publication: return column && !dependent.columns.empty();
    case DependentKind::sequence:
    case DependentKind::statistics: return false;
  }
  return false;
}

// A table that goes takes its own things along without a word; only what others would miss is worth one.
bool worth_saying(const CatalogDependent& dependent, bool column) {
  return column || dependent.kind == DependentKind::function || dependent.kind == DependentKind::publication ||
         dependent.kind == DependentKind::trigger || dependent.kind == DependentKind::policy;
}

bool concerns(const CatalogDependent& dependent, std::string_view column) {
  const bool whole = dependent.columns.empty();
  const bool carries = whole && (dependent.kind == DependentKind::publication || !dependent.certain);
  return column.empty() || carries || contains(dependent.columns, column);
}

// Empty where the whole of it need not, or cannot, be dropped.
std::string drop_text(const Lint& lint, const CatalogDependent& dependent) {
  const std::string name = quote_identifier(dependent.name.name);
  const std::string table = lint.known().written({dependent.name.schema, dependent.table});
  switch (dependent.kind) {
    case DependentKind::view: return fmt::format("DROP VIEW {}", lint.known().written(dependent.name));
    case DependentKind::materialized_view:
      return fmt::format("DROP MATERIALIZED VIEW {}", lint.known().written(dependent.name));
    case DependentKind::function: return fmt::format("DROP FUNCTION {}", to_sql(dependent.name));
    case DependentKind::foreign_key: return fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", table, name);
    case DependentKind::rule: return fmt::format("DROP RULE {} ON {}", name, table);
    case DependentKind::policy: return fmt::format("DROP POLICY {} ON {}", name, table);
    case DependentKind::trigger: return fmt::format("DROP TRIGGER {} ON {}", name, table);
    case DependentKind::generated_column: return fmt::format("ALTER TABLE {} DROP COLUMN {}", table, name);
    case DependentKind::publication:
      return fmt::format("ALTER PUBLICATION {} SET TABLE <its tables, without the column>", name);
    case DependentKind::column_default: return fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name);
    case DependentKind::sequence:
    case DependentKind::statistics:
    case DependentKind::partition_key: return {};
  }
  return {};
}

// What stands in the way, and first what stands in the way of that.
void drop_dependents(const Lint& lint, const CatalogRelation& relation, std::string_view column, StepWriter& steps,
                     std::set<std::string>& seen) {
  for (const CatalogDependent& dependent : relation.dependents) {
    if (!blocks(dependent, !column.empty()) || !concerns(dependent, column) || lint.known().is_gone(dependent))
      continue;
    std::string text = drop_text(lint, dependent);
    if (text.empty() || !seen.insert(text).second) continue;
    const CatalogRelation* own = dependent.table.empty() ? lint.known().relation(dependent.name) : nullptr;
    if (own != nullptr) drop_dependents(lint, *own, {}, steps, seen);
    steps.sql(std::move(text), own == nullptr ? "" : "and create it anew on what stays, where it is needed");
  }
}

// Columns of the types and domains that a DROP names.
struct TypeUses {
  struct Column {
    const CatalogRelation* table;
    std::string_view name;
  };
  std::vector<Column> columns;
  bool known = true;  // the catalog has all the types
};

TypeUses uses_of_dropped(const Lint& lint) {
  TypeUses uses;
  const core::CatalogSnapshot* catalog = lint.known().catalog();
  for (const Node object : lint.body()["objects"]) {
    const core::CatalogType* type = catalog == nullptr ? nullptr : catalog->type(name_of_list(object.body()["names"]));
    uses.known &= type != nullptr;
    if (type == nullptr) continue;
    for (const core::RelationName& user : type->used_by) {
      const CatalogRelation* table = lint.known().relation(user);
      if (table == nullptr) continue;
      for (const core::CatalogColumn& column : table->columns) {
        std::string of = type_without_length(column.type);
        if (of.ends_with("[]")) of.resize(of.size() - 2);
        if (name_of_identifier(of).name == type->name.name && !lint.known().is_dropped_column(user, column.name))
          uses.columns.push_back({.table = table, .name = column.name});
      }
    }
  }
  return uses;
}

constexpr std::string_view kAfterItsDependents = "after steps that drop by name what hangs on it";

}  // namespace

Dependents dependents_of(const core::CatalogRelation& relation, std::string_view column, const Known& known) {
  Dependents found;
  const bool of_column = !column.empty();
  for (const CatalogDependent& dependent : relation.dependents) {
    if (!concerns(dependent, column) || known.is_gone(dependent)) continue;
    if (blocks(dependent, of_column)) {
      found.blocking.push_back(described(dependent));
    } else if (worth_saying(dependent, of_column)) {
      found.along.push_back(described(dependent));
    }
  }
  if (!of_column) return found;
  for (const core::CatalogIndex& index : relation.indexes) {
    if (contains(index.columns, column) || contains(index.uses, column))
      found.along.push_back(fmt::format("index {}", to_sql({relation.name.schema, index.name})));
  }
  for (const core::CatalogConstraint& constraint : relation.constraints) {
    const bool has_index = constraint.kind == core::ConstraintKind::primary_key ||
                           constraint.kind == core::ConstraintKind::unique ||
                           constraint.kind == core::ConstraintKind::exclusion;
    if (!has_index && contains(constraint.columns, column))
      found.along.push_back(fmt::format("constraint {}", quote_identifier(constraint.name)));
  }
  return found;
}

void lint_dependents(const Lint& lint, const core::CatalogRelation& relation, std::string_view column, bool cascade,
                     const SafeSteps& form) {
  Dependents found = dependents_of(relation, column, lint.known());
  const std::string table = lint.known().written(relation.name);
  const std::string object = column.empty() ? table : fmt::format("{}.{}", table, quote_identifier(column));
  const Blanks blanks{.table = table,
                      .column = column.empty() ? std::string{} : quote_identifier(column),
                      .object = object,
                      .kind = lint.statement.statement.kind};
  if (cascade) {
    std::ranges::move(found.along, std::back_inserter(found.blocking));
    core::Finding* reported = lint.reporter.report(kDropCascade, blanks);
    if (reported == nullptr) return;
    reported->concerned = std::move(found.blocking);
    reported->safe_form = form;
    return;
  }
  if (!found.blocking.empty()) {
    if (core::Finding* reported = lint.reporter.report(kDropBlocked, blanks)) {
      reported->concerned = found.blocking;
      reported->safe_form = form;
    }
  }
  if (found.along.empty()) return;
  if (core::Finding* reported = lint.reporter.report(kDropTakesAlong, blanks))
    reported->concerned = std::move(found.along);
}

SafeSteps drop_form(const Lint& lint, std::span<const CatalogRelation> relations, std::string_view column,
                    std::string statement) {
  StepWriter steps(lint.known(), {});
  steps.in_phase(kContract);
  std::set<std::string> seen;
  for (const CatalogRelation& relation : relations) drop_dependents(lint, relation, column, steps, seen);
  const bool unknown = lint.known().catalog() == nullptr;
  steps.sql(std::move(statement), unknown ? kAfterItsDependents : "");
  return steps.take();
}

SafeSteps drop_column_form(const Lint& lint, const std::string& table, std::string_view column) {
  const CatalogRelation* present = lint.known().table(table);
  return drop_form(lint, {present, present == nullptr ? 0U : 1U}, column,
                   fmt::format("ALTER TABLE {} DROP COLUMN {}", table, quote_identifier(column)));
}

void lint_dropped_types(const Lint& lint, const Rule* rule, const Blanks& blanks, bool cascade) {
  const TypeUses uses = uses_of_dropped(lint);
  StepWriter steps(lint.known(), {});
  steps.in_phase(kContract);
  std::set<std::string> seen;
  std::vector<std::string> columns;
  for (const TypeUses::Column& column : uses.columns) {
    const std::string name = quote_identifier(column.name);
    columns.push_back(fmt::format("column {} of {}", name, to_sql(column.table->name)));
    drop_dependents(lint, *column.table, column.name, steps, seen);
    steps.sql(fmt::format("ALTER TABLE {} DROP COLUMN {}", lint.known().written(column.table->name), name),
              "or give it another type");
  }
  steps.sql(blanks.statement, uses.known ? "" : kAfterItsDependents);
  const std::size_t first = lint.reporter.count();
  if (rule != nullptr) lint.reporter.report(*rule, blanks);
  if (cascade || !columns.empty()) {
    if (core::Finding* found = lint.reporter.report(cascade ? kDropCascade : kDropBlocked, blanks))
      found->concerned = std::move(columns);
  }
  lint.reporter.reform(first, steps.take());
}

namespace {

// The foreign keys that use a key, and steps that drop it behind them.
struct Resting {
  std::vector<std::string> names;
  SafeSteps form;
};

Resting resting_on(const Lint& lint, const std::string& table, const CatalogRelation& present,
                   const core::CatalogConstraint& key) {
  Resting resting;
  StepWriter steps(lint.known(), table);
  steps.in_phase(kContract);
  const bool has_index = !key.index.empty() && key.kind != core::ConstraintKind::foreign_key;
  for (const CatalogDependent& dependent : present.dependents) {
    const core::CatalogConstraint* other =
        has_index && dependent.kind == DependentKind::foreign_key ? key_of(dependent, lint.known()) : nullptr;
    if (other == nullptr || other->index != key.index || lint.known().is_gone(dependent)) continue;
    resting.names.push_back(described(dependent));
    steps.sql(drop_text(lint, dependent));
  }
  steps.sql(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", table, quote_identifier(key.name)));
  resting.form = steps.take();
  return resting;
}

}  // namespace

// Foreign keys of other tables rest on a key, and ON CONFLICT of old code.
void lint_dropped_constraint(const Lint& lint, const std::string& table, std::string_view name, bool cascade) {
  const CatalogRelation* present = lint.known().table(table);
  const core::CatalogConstraint* constraint = present == nullptr ? nullptr : present->constraint(name);
  const std::string quoted = quote_identifier(name);
  const std::string statement = lint.reporter.shown(lint.text());
  const Resting resting = constraint == nullptr ? Resting{} : resting_on(lint, table, *present, *constraint);
  if (cascade) {
    core::Finding* found =
        lint.reporter.report(kDropCascade, {.table = table, .column = quoted, .statement = without_cascade(statement)});
    if (found != nullptr && constraint != nullptr) {
      found->concerned = resting.names;
      found->safe_form = resting.form;
    }
  }
  if (constraint == nullptr || constraint->kind == core::ConstraintKind::check) return;
  Blanks blanks{.table = table, .column = quoted, .object = quoted, .kind = "DROP CONSTRAINT", .statement = statement};
  if (constraint->kind == core::ConstraintKind::foreign_key) {
    blanks.name = lint.known().written(constraint->references);
    lint.reporter.report(kDropForeignKey, blanks);
    return;
  }
  const std::size_t first = lint.reporter.count();
  lint.reporter.report(kBanDropObject, blanks);
  core::Finding* blocked = cascade || resting.names.empty() ? nullptr : lint.reporter.report(kDropBlocked, blanks);
  if (blocked != nullptr) blocked->concerned = resting.names;
  lint.reporter.reform(first, resting.form);
}

}  // namespace diastole::sql
