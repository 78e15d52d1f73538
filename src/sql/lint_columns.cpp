// Rules on columns as they are defined: types, keys, foreign keys, the order they stand in.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "column_def.hpp"
#include "contains.hpp"
#include "definition_text.hpp"
#include "lint.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

struct Width {
  std::string_view type;
  int bytes;
  int alignment;
};
// pg_type's typlen and typalign of types whose values are all of one size.
constexpr auto kWidths = std::to_array<Width>({
    {"bigint", 8, 8},
    {"boolean", 1, 1},
    {"date", 4, 4},
    {"double precision", 8, 8},
    {"integer", 4, 4},
    {"interval", 16, 8},
    {"money", 8, 8},
    {"oid", 4, 4},
    {"real", 4, 4},
    {"smallint", 2, 2},
    {"time without time zone", 8, 8},
    {"timestamp with time zone", 8, 8},
    {"timestamp without time zone", 8, 8},
    {"uuid", 16, 1},
    {"bigserial", 8, 8},
    {"serial", 4, 4},
});

const Width* width_of(const std::string& type) {
  const auto* found = std::ranges::find(kWidths, type_without_length(type), &Width::type);
  return found == kWidths.end() ? nullptr : found;
}

// Bytes between columns, as far as their places are known: behind a value of varying length nobody can tell.
int padding(const std::vector<const Width*>& columns) {
  int at = 0;
  int lost = 0;
  for (const Width* column : columns) {
    if (column == nullptr) {
      at = 0;
      continue;
    }
    const int gap = (column->alignment - at % column->alignment) % column->alignment;
    lost += gap;
    at += gap + column->bytes;
  }
  return lost;
}

void lint_alignment(const Lint& lint, const std::string& table, const std::vector<ColumnTraits>& traits) {
  constexpr int kWorthSaying = 8;
  std::vector<std::pair<const Width*, std::string_view>> columns;
  columns.reserve(traits.size());
  for (const ColumnTraits& column : traits) columns.emplace_back(width_of(column.type), column.name);
  const auto widths = [&] {
    std::vector<const Width*> all;
    all.reserve(columns.size());
    for (const auto& [width, name] : columns) all.push_back(width);
    return all;
  };
  const int now = padding(widths());
  if (now < kWorthSaying) return;
  const auto alignment = [](const auto& column) { return column.first == nullptr ? 0 : column.first->alignment; };
  auto sorted = columns;
  sorted.clear();
  for (const int wanted : {8, 4, 2, 1, 0}) {
    std::ranges::copy_if(columns, std::back_inserter(sorted),
                         [&](const auto& column) { return alignment(column) == wanted; });
  }
  columns = std::move(sorted);
  const int saved = now - padding(widths());
  if (saved < kWorthSaying) return;
  std::vector<std::string> order;
  order.reserve(columns.size());
  for (const auto& [width, name] : columns) order.emplace_back(name);
  lint.reporter.report(kAlignment, {.table = table, .column = join_names(order), .name = fmt::to_string(saved)});
}

// The types that the other side's columns have; empty where nobody says.
std::string referenced_type(const Lint& lint, Node constraint, std::size_t place, std::string& column) {
  const std::string other = relation_name(constraint["pktable"]);
  const auto named = names_in(constraint["pk_attrs"]);
  if (place < named.size()) {
    column = named[place];
  } else if (const core::CatalogRelation* present = lint.known().table(other); present != nullptr) {
    for (const core::CatalogConstraint& one : present->constraints) {
      if (one.kind == core::ConstraintKind::primary_key && place < one.columns.size()) column = one.columns[place];
    }
  }
  return column.empty() ? std::string{} : lint.known().column_type(other, column);
}

// Types of the columns that this statement itself defines.
std::string own_type(const Lint& lint, const std::string& table, std::string_view column) {
  const auto& own = lint.statement.columns;
  const auto found = std::ranges::find(own, column, &ColumnTraits::name);
  return found == own.end() ? lint.known().column_type(table, column) : found->type;
}

std::string comparable(const std::string& type) {
  const std::string plain = type_without_length(type);
  if (plain == "serial") return "integer";
  if (plain == "bigserial") return "bigint";
  return plain == "character varying" ? "text" : plain;
}

void lint_foreign_key_types(const Lint& lint, const std::string& table, Node constraint,
                            const std::vector<std::string>& columns) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::string other_column;
    const std::string type = own_type(lint, table, columns[i]);
    const std::string other = referenced_type(lint, constraint, i, other_column);
    if (type.empty() || other.empty() || comparable(type) == comparable(other)) continue;
    lint.reporter.report(kForeignKeyType, {.table = table,
                                           .column = quote_identifier(columns[i]),
                                           .name = fmt::format("{}.{} is {}", relation_name(constraint["pktable"]),
                                                               quote_identifier(other_column), other),
                                           .type = type});
  }
}

}  // namespace

void lint_column(const Lint& lint, const std::string& table, Node column, const ColumnTraits& traits, bool key) {
  const std::string plain = type_without_length(traits.type);
  const auto report = [&](const Rule& rule, std::string_view type) {
    lint.reporter.report(rule, {.table = table,
                                .column = quote_identifier(traits.name),
                                .statement = lint.reporter.shown(with_type(lint.statement.parsed, column, type))});
  };
  key |= traits.primary || traits.identity || traits.serial;
  if (plain == "json" || plain == "json[]") report(kJson, plain == "json" ? "jsonb" : "jsonb[]");
  if (traits.serial) report(kPreferIdentity, "bigint GENERATED BY DEFAULT AS IDENTITY");
  if (key && (plain == "integer" || plain == "serial" || plain == "serial4"))
    report(kBigintOverInt, traits.serial ? "bigserial" : "bigint");
  if (key && (plain == "smallint" || plain == "smallserial" || plain == "serial2"))
    report(kBigintOverSmallint, traits.serial ? "bigserial" : "bigint");
  if (plain == "character varying" && traits.type != plain) report(kPreferText, "text");
  if (plain == "timestamp without time zone") {
    const auto digits = traits.type.find('(');
    const auto precision =
        digits == std::string::npos ? "" : traits.type.substr(digits, traits.type.find(')') + 1 - digits);
    report(kPreferTimestamptz, "timestamptz" + precision);
  }
  if (plain == "character") report(kBanChar, "text");
}

void lint_foreign_key(const Lint& lint, const std::string& table, Node constraint,
                      const std::vector<std::string>& columns) {
  const std::string other = relation_name(constraint["pktable"]);
  if (constraint.text("fk_del_action") == "c")
    lint.reporter.report(kOnDeleteCascade, {.table = table, .column = join_names(columns), .name = other});
  lint_foreign_key_types(lint, table, constraint, columns);
  lint.memory.foreign_keys.push_back(
      {.table = table, .columns = columns, .references = other, .place = lint.reporter.place()});
}

void lint_create_table(const Lint& lint) {
  const std::string& table = lint.table();
  std::vector<std::string> key;
  for (const Node element : lint.body()["tableElts"]) {
    const Node constraint = element.body();
    if (element.tag() == "Constraint" && constraint.text("contype") == "CONSTR_PRIMARY")
      key = names_in(constraint["keys"]);
  }
  auto column = lint.statement.columns.begin();
  for (const Node element : lint.body()["tableElts"]) {
    const Node body = element.body();
    if (element.tag() == "Constraint" && body.text("contype") == "CONSTR_FOREIGN")
      lint_foreign_key(lint, table, body, names_in(body["fk_attrs"]));
    if (element.tag() != "ColumnDef") continue;
    lint_column(lint, table, body, *column, contains(key, column->name));
    for (const Node constraint : body["constraints"]) {
      if (constraint.body().text("contype") == "CONSTR_FOREIGN")
        lint_foreign_key(lint, table, constraint.body(), {column->name});
    }
    ++column;
  }
  lint_alignment(lint, table, lint.statement.columns);
}

}  // namespace diastole::sql
