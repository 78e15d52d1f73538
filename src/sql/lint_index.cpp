// Rules on indexes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "definition_text.hpp"
#include "diastole/sql/analysis.hpp"
#include "lint.hpp"
#include "safe_form.hpp"

namespace diastole::sql {
namespace {

std::vector<std::string> key_columns(Node index) {
  std::vector<std::string> columns;
  for (const Node element : index["indexParams"]) columns.emplace_back(element.body().text("name"));
  return columns;
}

std::string key_text(const std::vector<std::string>& columns) {
  std::string joined;
  for (const std::string& column : columns) joined += (joined.empty() ? "" : ", ") + name_or(column, "<expression>");
  return joined;
}

// Its own, or what PostgreSQL would call it; unquoted.
std::string index_name(const Lint& lint) {
  if (const std::string_view given = lint.body().text("idxname"); !given.empty()) return std::string(given);
  auto columns = key_columns(lint.body());
  for (std::string& column : columns) {
    if (column.empty()) column = "expr";
  }
  return made_name(name_of(lint.body()["relation"]).name, columns, "idx");
}

// CREATE INDEX CONCURRENTLY with a name.
std::string named(const Lint& lint, std::string statement) {
  if (!lint.body().text("idxname").empty()) return statement;
  return with_word(statement, "CONCURRENTLY", quote_identifier(index_name(lint)));
}

// The versions that can corrupt an index must be known to be there.
void lint_corruption(const Lint& lint) {
  if (lint.known().server_version() != 0) lint.reporter.report(kIndexCorruption, {});
}

bool is_partitioned(const Lint& lint, Node relation) {
  const core::CatalogRelation* present = lint.known().relation(relation);
  return present != nullptr && present->kind == core::RelationKind::partitioned_table && relation.flag("inh");
}

void lint_replacement(const Lint& lint, const std::string& table, const std::vector<std::string>& columns) {
  const auto& dropped = lint.memory.dropped_indexes;
  const auto found = std::ranges::find_if(dropped, [&](const PlanMemory::DroppedIndex& one) {
    return !columns.empty() && !columns.front().empty() && !one.columns.empty() &&
           one.columns.front() == columns.front() && table_key(one.table) == table_key(table);
  });
  if (found == dropped.end()) return;
  lint.reporter.report(kIndexReplaced, {.table = table,
                                        .object = found->name,
                                        .name = name_or(lint.body().text("idxname"), "the new one"),
                                        .statement = found->statement});
}

// The index's key, as GROUP BY can have it: without collations, operator classes and orders.
std::vector<std::string> key_parts(const Lint& lint, std::string_view text) {
  std::vector<std::string> parts;
  std::size_t begin = text.find('(') + 1;
  for (const Node element : lint.body()["indexParams"]) {
    const std::size_t end = visit_outside(text, begin, [&](std::size_t i) { return text[i] != ','; });
    const std::string_view part = trim(text.substr(begin, end - begin));
    begin = std::min(end + 1, text.size());
    const std::string_view column = element.body().text("name");
    if (!column.empty()) {
      parts.push_back(quote_identifier(column));
      continue;
    }
    const std::size_t close = visit_outside(part, part.find('(') + 1, [](std::size_t) { return true; });
    parts.emplace_back(part.substr(0, close + 1));  // f(a), or (a + 1)
  }
  return parts;
}

// Rows that an index does not hold, or in which it takes NULLs for different, may be equal.
void lint_equal_rows(const Lint& lint, const std::string& table) {
  const std::string text = text_behind_name(lint.statement.parsed, lint.body()["relation"]);
  const auto parts = key_parts(lint, text);
  std::vector<std::string> conditions;
  if (lint.body()["whereClause"]) conditions.push_back(fmt::format("({})", text_behind(text, "WHERE")));
  if (!lint.body().flag("nulls_not_distinct")) {
    for (const std::string& part : parts) conditions.push_back(part + " IS NOT NULL");
  }
  if (conditions.empty()) conditions.emplace_back("true");
  lint.reporter.report(kMayFail, {.table = table,
                                  .column = fmt::format("{}", fmt::join(parts, ", ")),
                                  .name = fmt::format("{}", fmt::join(conditions, " AND "))});
}

void lint_unique(const Lint& lint, const std::string& table, const std::vector<std::string>& columns) {
  if (lint.known().is_new(table)) return;
  const NewColumns added = [&](std::string_view name) { return lint.known().new_column(table, name); };
  const Blanks blanks{.table = table, .statement = std::string(lint.text())};
  if (lint_unique_key(lint, lint.body(), columns, added, blanks) && !lint.idle(table)) lint_equal_rows(lint, table);
}

// Old code's ON CONFLICT finds it by its columns, and may count on it to refuse what is there already.
bool lint_dropped_unique(const Lint& lint, const core::RelationName& name, const std::string& table) {
  if (lint.known().is_new_index(name)) return false;
  const auto place = lint.known().index(name);
  const bool with_catalog = lint.known().catalog() != nullptr;
  if (with_catalog && (place.index == nullptr || !place.index->unique || !place.index->valid)) return false;
  if (with_catalog && !place.index->partial && lint.known().has_unique_index(table, name, place.index->columns))
    return false;
  core::Finding* found = lint.reporter.report(
      kDroppingUnique, {.table = table, .object = to_sql(name), .statement = lint.reporter.shown(lint.text())},
      with_catalog ? kError : kWarning, kPasses);
  if (found != nullptr && !with_catalog) found->sharper_with = fmt::format("whether {} is unique", to_sql(name));
  return with_catalog;
}

// What a constraint stands on is dropped with it and in no other way.
bool lint_constraint_index(const Lint& lint, const core::RelationName& name) {
  const auto place = lint.known().index(name);
  if (place.table == nullptr) return false;
  const auto found = std::ranges::find_if(place.table->constraints, [&](const core::CatalogConstraint& one) {
    return one.kind != core::ConstraintKind::foreign_key && one.index == place.index->name;
  });
  if (found == place.table->constraints.end()) return false;
  const std::string table = lint.known().written(place.table->name);
  const std::string constraint = quote_identifier(found->name);
  core::Finding* reported = lint.reporter.report(
      kDropBlocked, {.table = table, .object = to_sql(name), .kind = lint.statement.statement.kind});
  if (reported == nullptr) return true;
  reported->concerned = {fmt::format("constraint {} of {}", constraint, table)};
  StepWriter steps(lint.known(), table);
  steps.in_phase(kContract);
  steps.sql(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", table, constraint));
  reported->safe_form = steps.take();
  return true;
}

// One in each step. What is partitioned has no concurrent way.
std::vector<core::SafeStep> concurrent_drops(const Lint& lint, const std::vector<Node>& names,
                                             std::optional<core::Phase> phase) {
  StepWriter steps(lint.known(), {});
  steps.in_phase(phase);
  for (const Node name : names) {
    const auto place = lint.known().index(name_of_list(name));
    if (place.table != nullptr && place.table->kind == core::RelationKind::partitioned_table) return {};
    steps.sql(fmt::format("DROP INDEX CONCURRENTLY {}{}", lint.body().flag("missing_ok") ? "IF EXISTS " : "",
                          dotted_name(name)),
              "in a step of its own");
  }
  return steps.take();
}

}  // namespace

bool lint_unique_key(const Lint& lint, Node key, const std::vector<std::string>& columns, const NewColumns& new_columns,
                     const Blanks& blanks) {
  const core::Answer collision = collides(key, columns, new_columns);
  if (collision == core::Answer::no) return false;
  Blanks texts = blanks;
  texts.kind = "UNIQUE";
  lint.reporter.report(kConstraintOldWriters, texts, collision == core::Answer::yes ? kError : kWarning, kPasses);
  return true;
}

void lint_index(const Lint& lint) {
  const Node relation = lint.body()["relation"];
  const std::string& table = lint.table();
  const bool concurrent = lint.body().flag("concurrent");
  const auto columns = key_columns(lint.body());
  const std::string name = name_or(lint.body().text("idxname"), "<name>");
  const auto partitioned = [&] { return Blanks{.table = table, .column = key_text(columns), .object = name}; };
  const auto by_partition = [&](core::Finding* found) {
    if (found == nullptr || !is_partitioned(lint, relation)) return;
    StepWriter steps(lint.known(), table);
    steps.index(index_name(lint), text_behind_name(lint.statement.parsed, relation), lint.body().flag("unique"));
    found->safe_form = steps.take();
  };
  if (concurrent) {
    if (lint.statement.statement.index.empty())
      lint.reporter.report(kRequireIndexName, {.statement = named(lint, std::string(lint.text()))});
    if (is_partitioned(lint, relation)) by_partition(lint.reporter.report(kConcurrentPartitioned, partitioned()));
    lint_corruption(lint);
  } else if (!lint.idle(table) && relation.flag("inh")) {
    by_partition(lint.reporter.report(
        kConcurrentIndexCreation,
        {.table = table, .statement = named(lint, with_word(lint.text(), "INDEX", "CONCURRENTLY"))}));
  }
  constexpr std::size_t kUsedColumns = 3;
  if (!lint.body().flag("unique") && columns.size() > kUsedColumns)
    lint.reporter.report(kWideIndex, {.table = table, .object = name, .name = fmt::to_string(columns.size())});
  if (lint.body().flag("unique")) lint_unique(lint, table, columns);
  lint_replacement(lint, table, columns);
}

void lint_drop_index(const Lint& lint) {
  const Node objects = lint.body()["objects"];
  const bool concurrent = lint.body().flag("concurrent");
  const bool cascade = lint.body().text("behavior") == "DROP_CASCADE";
  std::vector<Node> names;
  for (const Node object : objects) {
    const Node name = object.body()["items"];
    if (!lint_constraint_index(lint, name_of_list(name))) names.push_back(name);
  }
  const std::size_t first = lint.reporter.count();
  if (concurrent && (cascade || objects.size() > 1)) {
    lint.reporter.report(kOneConcurrentDrop, {.object = lint.statement.statement.index});
    return lint.reporter.reform(first, concurrent_drops(lint, names, {}));
  }
  bool busy = false;
  bool missed = false;
  for (const Node items : names) {
    const core::RelationName name = name_of_list(items);
    const std::string table = lint.known().table_of(name);
    const bool missing = lint.body().flag("missing_ok") && lint.known().catalog() != nullptr && table.empty();
    missed |= lint_dropped_unique(lint, name, table);
    busy |= !missing && (table.empty() || !lint.idle(table));
    lint.memory.dropped_indexes.push_back({.name = to_sql(name),
                                           .table = table,
                                           .columns = lint.known().index_columns(name),
                                           .statement = lint.reporter.shown(lint.text())});
  }
  if (!concurrent && busy) {
    core::Finding* found = lint.reporter.report(kConcurrentIndexDeletion, {.object = dotted_name(names.front())});
    if (found != nullptr && lint.known().catalog() == nullptr) found->sharper_with = "the size of the index's table";
  }
  if (cascade) lint.reporter.report(kDropCascade, {});
  if (lint.reporter.count() > first)
    lint.reporter.reform(first, concurrent_drops(lint, names, missed ? std::optional(kContract) : std::nullopt));
}

void lint_reindex(const Lint& lint) {
  if (option_set(lint.body()["params"], "concurrently")) return lint_corruption(lint);
  const Node relation = lint.body()["relation"];
  const std::string_view kind = lint.body().text("kind");
  if (kind == "REINDEX_OBJECT_TABLE" && lint.idle(relation_name(relation))) return;
  if (kind == "REINDEX_OBJECT_INDEX") {
    const std::string table = lint.known().table_of(name_of(relation));
    if (!table.empty() && lint.idle(table)) return;
  }
  constexpr auto kTargets = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"REINDEX_OBJECT_INDEX", "INDEX"},
      {"REINDEX_OBJECT_TABLE", "TABLE"},
      {"REINDEX_OBJECT_SCHEMA", "SCHEMA"},
      {"REINDEX_OBJECT_DATABASE", "DATABASE"},
  });
  const auto* target = std::ranges::find(kTargets, kind, &std::pair<std::string_view, std::string_view>::first);
  const std::string safe =
      target == kTargets.end() ? std::string{} : with_word(lint.text(), target->second, "CONCURRENTLY");
  lint.reporter.report(kConcurrentReindex, {.statement = safe});
}

}  // namespace diastole::sql
