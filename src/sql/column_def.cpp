#include "column_def.hpp"

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::Answer;

constexpr auto kSerialTypes =
    std::to_array<std::string_view>({"serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"});

// Functions that PostgreSQL declares stable or immutable: as a default they are computed once, when the column is
// added. Of what is not here the catalog must tell.
constexpr auto kSteadyFunctions = std::to_array<std::string_view>({
    "abs",
    "age",
    "array_fill",
    "array_length",
    "ceil",
    "char_length",
    "concat",
    "current_database",
    "current_schema",
    "current_setting",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "floor",
    "format",
    "initcap",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "length",
    "lower",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "now",
    "point",
    "repeat",
    "replace",
    "round",
    "set_byte",
    "sha256",
    "statement_timestamp",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsvector",
    "transaction_timestamp",
    "upper",
});
constexpr auto kVolatileFunctions = std::to_array<std::string_view>(
    {"random", "gen_random_uuid", "uuid_generate_v4", "uuid_generate_v1", "clock_timestamp", "nextval", "timeofday"});

Answer call_per_row(Node call, const Known& known) {
  const Node name = call["funcname"];
  const std::string_view last = last_name(name);
  if (known.catalog() != nullptr) {
    if (const auto* function = known.catalog()->function(name_of_list(name)))
      return function->volatility == 'v' ? Answer::yes : Answer::no;
  }
  if (contains(kSteadyFunctions, last)) return Answer::no;
  return contains(kVolatileFunctions, last) ? Answer::yes : Answer::maybe;
}

Answer computed_per_row(Node expression, const Known& known) {
  Answer worst = Answer::no;
  visit_objects(expression, [&](std::string_view key, Node node) {
    if (key == "FuncCall") worst = std::max(worst, call_per_row(node, known));
  });
  return worst;
}

Answer is_constrained(Node type, const std::string& name, const Known& known) {
  if (is_builtin_type(name) || name.ends_with("[]")) return Answer::no;  // values in arrays are not looked at
  const Answer checked = known.is_checked_type(name_of_list(type["names"]));
  // A type that the catalog has not may come with an extension that the plan creates.
  constexpr auto kOfExtensions = std::to_array<std::string_view>(
      {"citext", "geography", "geometry", "halfvec", "hstore", "ltree", "sparsevec", "vector"});
  const bool of_extension = known.catalog() != nullptr && contains(kOfExtensions, last_name(type["names"]));
  return checked == Answer::maybe && of_extension ? Answer::no : checked;
}

}  // namespace

Answer ColumnTraits::rewrites() const {
  if (serial || identity || generated) return Answer::yes;
  return std::max(per_row, constrained);
}

Answer ColumnTraits::scans() const {
  return checked || (not_null && !has_default) ? Answer::yes : rewrites();
}

ColumnTraits column_traits(Node column, const Known& known) {
  ColumnTraits traits;
  const Node type = column["typeName"];
  traits.name = column.text("colname");
  traits.type = type_name(type);
  traits.serial = contains(kSerialTypes, last_name(type["names"]));
  bool points = false;
  for (const Node node : column["constraints"]) {
    const Node constraint = node.body();
    const std::string_view kind = constraint.text("contype");
    if (kind == "CONSTR_NOTNULL" || kind == "CONSTR_PRIMARY") traits.not_null = true;
    if (kind == "CONSTR_PRIMARY") traits.primary = true;
    if (kind == "CONSTR_IDENTITY") traits.identity = true;
    if (kind == "CONSTR_GENERATED") {
      traits.generated = true;
      traits.generated_expression = constraint["raw_expr"];
    }
    if (kind == "CONSTR_DEFAULT") {
      const Node expression = constraint["raw_expr"];
      traits.has_default = !expression.body().flag("isnull");
      traits.per_row = computed_per_row(expression, known);
      traits.default_expression = expression;
    }
    if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY" || kind == "CONSTR_CHECK") traits.checked = true;
    if (kind == "CONSTR_FOREIGN") points = true;
    if (kind == "CONSTR_DEFAULT" || kind == "CONSTR_GENERATED") traits.filled = true;
  }
  // A new column without values has none to look for (transformAlterTableStmt); DEFAULT NULL is not seen through.
  traits.filled |= traits.serial;
  traits.checked |= points && traits.filled;
  if (!traits.serial) traits.constrained = is_constrained(type, traits.type, known);
  return traits;
}

std::vector<ColumnTraits> columns_of(Node body, const Known& known) {
  std::vector<ColumnTraits> columns;
  const Node elements = body["tableElts"];
  columns.reserve(elements.size());
  for (const Node element : elements) {
    if (element.tag() == "ColumnDef") columns.push_back(column_traits(element.body(), known));
  }
  for (const Node node : body["cmds"]) {
    const Node command = node.body();
    if (command.text("subtype") == "AT_AddColumn") columns.push_back(column_traits(command["def"].body(), known));
  }
  return columns;
}

}  // namespace diastole::sql
