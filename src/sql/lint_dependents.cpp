// What hangs on something that is dropped.
#include "lint_dependents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <set>
#include <utility>

#include "around.hpp"
#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"
#include "lint.hpp"
#include "object_name.hpp"
#include "safe_form.hpp"

namespace diastole::sql {
namespace {

using core::CatalogDependent;
using core::CatalogObject;
using core::CatalogRelation;
using core::DependentKind;

std::string with_inputs(const CatalogDependent& function) {
  return fmt::format("{}({})", to_sql(function.name), function.inputs);
}

std::string described(const CatalogDependent& dependent) {
  if (dependent.kind == DependentKind::object) return dependent.identity;
  const bool function = dependent.kind == DependentKind::function;
  std::string text =
      fmt::format("{} {}", to_string(dependent.kind), function ? with_inputs(dependent) : to_sql(dependent.name));
  if (!dependent.table.empty())
    text = fmt::format("{} {} of {}", to_string(dependent.kind), quote_identifier(dependent.name.name),
                       to_sql({dependent.name.schema, dependent.table}));
  if (!dependent.certain) text += " (its text names it)";
  return text;
}

// What something hangs on.
enum class Of { relation, column, object };

// What PostgreSQL refuses to leave without what it hangs on. Of a column only what uses it depends on it, and of what
// is no relation the catalog has only what does.
bool blocks(const CatalogDependent& dependent, Of of) {
  if (of == Of::object) return dependent.certain && dependent.kind != DependentKind::publication;
  const bool column = of == Of::column;
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
    case DependentKind::statistics:
    case DependentKind::table:
    case DependentKind::foreign_table:
    case DependentKind::column:
    case DependentKind::constraint:
    case DependentKind::index:
    case DependentKind::type:
    case DependentKind::attribute:
    case DependentKind::domain_constraint:
    case DependentKind::object: return false;
  }
  return false;
}

// A table that goes takes its own things along without a word; only what others would miss is worth one.
bool worth_saying(const CatalogDependent& dependent, Of of) {
  return of != Of::relation || dependent.kind == DependentKind::function ||
         dependent.kind == DependentKind::publication || dependent.kind == DependentKind::trigger ||
         dependent.kind == DependentKind::policy;
}

bool concerns(const CatalogDependent& dependent, std::string_view column) {
  const bool whole = dependent.columns.empty();
  const bool carries = whole && (dependent.kind == DependentKind::publication || !dependent.certain);
  return column.empty() || carries || contains(dependent.columns, column);
}

// Of what pg_identify_object() writes as DROP reads it.
std::string drop_object_text(std::string_view identity) {
  const ObjectKind* kind = find_object_kind(type_of_identity(identity));
  return kind == nullptr ? std::string{} : fmt::format("DROP {}{}", kind->noun, identity.substr(kind->noun.size()));
}

// Empty where the whole of it need not, or cannot, be dropped.
std::string drop_text(const Lint& lint, const CatalogDependent& dependent) {
  const std::string name = quote_identifier(dependent.name.name);
  const std::string table = lint.known().written({dependent.name.schema, dependent.table});
  switch (dependent.kind) {
    case DependentKind::view: return fmt::format("DROP VIEW {}", lint.known().written(dependent.name));
    case DependentKind::materialized_view:
      return fmt::format("DROP MATERIALIZED VIEW {}", lint.known().written(dependent.name));
    case DependentKind::table: return fmt::format("DROP TABLE {}", lint.known().written(dependent.name));
    case DependentKind::foreign_table:
      return fmt::format("DROP FOREIGN TABLE {}", lint.known().written(dependent.name));
    case DependentKind::index: return fmt::format("DROP INDEX CONCURRENTLY {}", lint.known().written(dependent.name));
    case DependentKind::function: return fmt::format("DROP ROUTINE {}", with_inputs(dependent));
    case DependentKind::type: return fmt::format("DROP TYPE {}", to_sql(dependent.name));
    case DependentKind::attribute: return fmt::format("ALTER TYPE {} DROP ATTRIBUTE {}", table, name);
    case DependentKind::domain_constraint: return fmt::format("ALTER DOMAIN {} DROP CONSTRAINT {}", table, name);
    case DependentKind::constraint:
    case DependentKind::foreign_key: return fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", table, name);
    case DependentKind::rule: return fmt::format("DROP RULE {} ON {}", name, table);
    case DependentKind::policy: return fmt::format("DROP POLICY {} ON {}", name, table);
    case DependentKind::trigger: return fmt::format("DROP TRIGGER {} ON {}", name, table);
    case DependentKind::column:
    case DependentKind::generated_column: return fmt::format("ALTER TABLE {} DROP COLUMN {}", table, name);
    case DependentKind::publication:
      return fmt::format("ALTER PUBLICATION {} SET TABLE <its tables, without the column>", name);
    case DependentKind::column_default: return fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name);
    case DependentKind::statistics: return fmt::format("DROP STATISTICS {}", to_sql(dependent.name));
    case DependentKind::object: return drop_object_text(dependent.identity);
    case DependentKind::sequence:
      return dependent.table.empty() ? fmt::format("DROP SEQUENCE {}", lint.known().written(dependent.name))
                                     : std::string{};
    case DependentKind::partition_key: return {};
  }
  return {};
}

std::string_view note_on(DependentKind kind) {
  if (kind == DependentKind::column || kind == DependentKind::attribute) return "or give it another type";
  return kind == DependentKind::column_default ? "or give it another one" : "";
}

// What stands in the way, and first what stands in the way of that.
void drop_dependents(const Lint& lint, std::span<const CatalogDependent> dependents, Of of, std::string_view column,
                     StepWriter& steps, std::set<std::string>& seen) {
  for (const CatalogDependent& dependent : dependents) {
    if (!blocks(dependent, of) || !concerns(dependent, column) || lint.known().is_gone(dependent)) continue;
    std::string text = drop_text(lint, dependent);
    if (text.empty() || !seen.insert(text).second) continue;
    const bool of_column = dependent.kind == DependentKind::column;
    const CatalogRelation* own =
        dependent.table.empty() || of_column ? lint.known().relation(table_of(dependent)) : nullptr;
    if (own != nullptr && of_column) {
      drop_dependents(lint, own->dependents, Of::column, dependent.name.name, steps, seen);
    } else if (own != nullptr) {
      drop_dependents(lint, own->dependents, Of::relation, {}, steps, seen);
    }
    const bool view = own != nullptr && !of_column;
    steps.sql(std::move(text), view ? "and create it anew on what stays, where it is needed" : note_on(dependent.kind));
  }
}

constexpr std::string_view kAfterItsDependents = "after steps that drop by name what hangs on it";

}  // namespace

Dependents dependents_of(const core::CatalogRelation& relation, std::string_view column, const Known& known) {
  Dependents found;
  const Of of = column.empty() ? Of::relation : Of::column;
  for (const CatalogDependent& dependent : relation.dependents) {
    if (!concerns(dependent, column) || known.is_gone(dependent)) continue;
    if (blocks(dependent, of)) {
      found.blocking.push_back(described(dependent));
    } else if (worth_saying(dependent, of)) {
      found.along.push_back(described(dependent));
    }
  }
  if (of == Of::relation) return found;
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

namespace {

// For a drop in contract, or behind a CASCADE.
void report_dependents(const Lint& lint, Dependents found, const Blanks& blanks, bool cascade, const SafeSteps& form) {
  if (cascade) {
    std::ranges::move(found.along, std::back_inserter(found.blocking));
    core::Finding* reported = lint.reporter.report(kDropCascade, blanks);
    if (reported == nullptr) return;
    reported->concerned = std::move(found.blocking);
    reported->safe_form = form;
    if (lint.known().catalog() == nullptr) reported->sharper_with = fmt::format("what uses {}", blanks.object);
    return;
  }
  if (!found.blocking.empty()) {
    if (core::Finding* reported = lint.reporter.report(kDropBlocked, blanks)) {
      reported->concerned = std::move(found.blocking);
      reported->safe_form = form;
    }
  }
  if (found.along.empty()) return;
  if (core::Finding* reported = lint.reporter.report(kDropTakesAlong, blanks))
    reported->concerned = std::move(found.along);
}

}  // namespace

void lint_dependents(const Lint& lint, const core::CatalogRelation& relation, std::string_view column, bool cascade,
                     const SafeSteps& form) {
  const std::string table = lint.known().written(relation.name);
  const std::string object = column.empty() ? table : fmt::format("{}.{}", table, quote_identifier(column));
  const Blanks blanks{.table = table,
                      .column = column.empty() ? std::string{} : quote_identifier(column),
                      .object = object,
                      .kind = lint.statement.statement.kind};
  report_dependents(lint, dependents_of(relation, column, lint.known()), blanks, cascade, form);
}

SafeSteps drop_form(const Lint& lint, std::span<const CatalogRelation> relations, std::string_view column,
                    std::string statement) {
  StepWriter steps(lint.known(), {});
  steps.in_phase(kContract);
  std::set<std::string> seen;
  const Of of = column.empty() ? Of::relation : Of::column;
  for (const CatalogRelation& relation : relations) drop_dependents(lint, relation.dependents, of, column, steps, seen);
  const bool unknown = lint.known().catalog() == nullptr;
  steps.sql(std::move(statement), unknown ? kAfterItsDependents : "");
  return steps.take();
}

SafeSteps drop_column_form(const Lint& lint, const std::string& table, std::string_view column) {
  const CatalogRelation* present = lint.known().table(table);
  return drop_form(lint, {present, present == nullptr ? 0U : 1U}, column,
                   fmt::format("ALTER TABLE {} DROP COLUMN {}", table, quote_identifier(column)));
}

namespace {

constexpr std::size_t kMaxNamed = 20;   // in a finding; the rest is counted
constexpr std::size_t kMaxSteps = 100;  // in a safe form

bool is_same(const CatalogDependent& dependent, const CatalogObject& object) {
  std::string kind;
  if (dependent.kind == DependentKind::function) kind = "function";
  if (dependent.kind == DependentKind::type) kind = "type";
  if (dependent.kind == DependentKind::object) kind = catalog_kind(type_of_identity(dependent.identity));
  return kind == object.kind && dependent.name == object.name && same_inputs(dependent.inputs, object.inputs);
}

// What the DROP names, without what hangs on it and is named as well or gone already.
std::vector<CatalogObject> dropped_objects(const Lint& lint) {
  std::vector<CatalogObject> dropped;
  for (const Node node : lint.body()["objects"]) {
    const auto written = written_object(lint.body().text("removeType"), node);
    if (!written) continue;
    for (const CatalogObject* object : lint.known().objects(*written)) dropped.push_back(*object);
  }
  std::multimap<std::string_view, const CatalogObject*> by_name;
  for (const CatalogObject& object : dropped) by_name.emplace(object.name.name, &object);
  for (CatalogObject& object : dropped) {
    std::erase_if(object.dependents, [&](const CatalogDependent& dependent) {
      const auto [first, last] = by_name.equal_range(dependent.name.name);
      return lint.known().is_gone(dependent) ||
             std::any_of(first, last, [&](const auto& entry) { return is_same(dependent, *entry.second); });
    });
  }
  return dropped;
}

bool is_inside(const CatalogDependent& dependent, const CatalogObject& schema) {
  return schema.kind == "schema" && dependent.name.schema == schema.name.name;
}

// Some by name and the rest by number; each once, though it may hang on several.
class Listing {
 public:
  void add(const CatalogDependent& dependent) {
    std::string text = described(dependent);
    if (!seen_.insert(text).second) return;
    if (names_.size() < kMaxNamed)
      names_.push_back(std::move(text));
    else
      ++more_[to_string(dependent.kind)];
  }
  [[nodiscard]] std::vector<std::string> take(bool cut) {
    for (const auto& [kind, count] : more_) names_.push_back(fmt::format("{}: {} more", kind, count));
    if (cut) names_.emplace_back("others, too many to count");
    return std::move(names_);
  }

 private:
  std::set<std::string> seen_;
  std::vector<std::string> names_;
  std::map<std::string_view, std::size_t> more_;
};

// Of a schema first what is outside of it, and so goes unseen.
Dependents dependents_of(std::span<const CatalogObject> dropped) {
  Listing blocking;
  Listing along;
  for (const bool inside : {false, true}) {
    for (const CatalogObject& object : dropped) {
      for (const CatalogDependent& dependent : object.dependents) {
        if (is_inside(dependent, object) == inside) (blocks(dependent, Of::object) ? blocking : along).add(dependent);
      }
    }
  }
  const bool cut = std::ranges::any_of(dropped, &CatalogObject::cut);
  return {.blocking = blocking.take(cut), .along = along.take(false)};
}

// Others may hang on it in their turn.
bool has_dependents(DependentKind kind) {
  constexpr auto kKinds = std::to_array<DependentKind>(
      {DependentKind::column, DependentKind::attribute, DependentKind::table, DependentKind::foreign_table,
       DependentKind::sequence, DependentKind::function, DependentKind::type, DependentKind::object});
  return contains(kKinds, kind);
}

// What only uses others goes first (of views, drop_dependents knows the order); of the rest, what was found last: it
// hangs on what was found before.
std::vector<CatalogDependent> in_order(const CatalogObject& object) {
  std::vector<CatalogDependent> ordered;
  ordered.reserve(object.dependents.size());
  for (const bool later : {false, true}) {
    for (const CatalogDependent& dependent : object.dependents | std::views::reverse) {
      if (has_dependents(dependent.kind) == later) ordered.push_back(dependent);
    }
  }
  return ordered;
}

// Tables refer to one another: they go together.
void drop_tables(const Lint& lint, std::span<const CatalogDependent> dependents, StepWriter& steps) {
  std::string names;
  for (const CatalogDependent& dependent : dependents) {
    if (dependent.kind == DependentKind::table)
      names += (names.empty() ? "" : ", ") + lint.known().written(dependent.name);
  }
  steps.sql("DROP TABLE " + names);
}

SafeSteps drop_objects_form(const Lint& lint, std::span<const CatalogObject> dropped, const std::string& statement) {
  StepWriter steps(lint.known(), {});
  steps.in_phase(kContract);
  std::set<std::string> seen;
  bool all = lint.known().catalog() != nullptr;
  for (const CatalogObject& object : dropped) {
    if (object.cut || object.dependents.size() > kMaxSteps) {
      all = false;
      continue;
    }
    const auto ordered = in_order(object);
    bool tables = false;
    for (const CatalogDependent& dependent : ordered) {
      if (dependent.kind != DependentKind::table) {
        drop_dependents(lint, {&dependent, 1}, Of::object, {}, steps, seen);
      } else if (!std::exchange(tables, true)) {
        drop_tables(lint, ordered, steps);
      }
    }
  }
  steps.sql(statement, all ? "" : kAfterItsDependents);
  return steps.take();
}

}  // namespace

void lint_dropped_objects(const Lint& lint, const Rule* rule, const Blanks& blanks, bool cascade) {
  const auto dropped = dropped_objects(lint);
  const SafeSteps form = drop_objects_form(lint, dropped, blanks.statement);
  if (core::Finding* found = rule == nullptr ? nullptr : lint.reporter.report(*rule, blanks)) {
    found->safe_form = form;
    if (lint.known().catalog() == nullptr) found->sharper_with = fmt::format("what uses {}", blanks.object);
  }
  report_dependents(lint, dependents_of(dropped), blanks, cascade, form);
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
