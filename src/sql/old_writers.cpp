#include "old_writers.hpp"

#include <algorithm>

namespace diastole::sql {
namespace {

using core::Answer;
using Kind = Value::Kind;

bool holds(const Value& value) {
  return value.is_null() || value.is(true);
}

bool all_new(Node expression, const NewColumns& columns) {
  bool all = true;
  visit_objects(expression, [&](std::string_view key, Node node) {
    if (key == "ColumnRef") all &= columns(last_name(node["fields"])) != nullptr;
  });
  return all;
}

ColumnValue in_rows(const NewColumns& columns) {
  return [&columns](std::string_view name) { return columns(name)->in_rows; };
}
ColumnValue in_inserts(const NewColumns& columns) {
  return [&columns](std::string_view name) { return columns(name)->in_inserts; };
}

// Of rows that all have the same in each column, but for what is distinct.
Answer same_by(Node key, const std::vector<std::string>& columns, const ColumnValue& column) {
  bool same = true;
  if (const Node predicate = key["whereClause"]) {
    const Value covered = evaluate(predicate, column);
    if (covered.is(false) || covered.is_null()) return Answer::no;
    same = covered.is(true);
  }
  std::vector<Value> values;
  for (const std::string& name : columns) {
    if (!name.empty()) values.push_back(column(name));
  }
  for (const Node element : key["indexParams"]) {
    if (const Node expression = element.body()["expr"]) values.push_back(evaluate(expression, column));
  }
  for (const Value& value : values) {
    if (value.kind == Kind::distinct || (value.is_null() && !key.flag("nulls_not_distinct"))) return Answer::no;
    same &= value.is_constant();
  }
  return same ? Answer::yes : Answer::maybe;
}

}  // namespace

Value default_value(Node expression) {
  return expression ? evaluate(expression, [](std::string_view) { return Value{}; }) : Value{.kind = Kind::null};
}

NewColumn new_column(Node column, std::string type) {
  NewColumn added{.type = std::move(type)};
  Value left{.kind = Kind::null};
  if (added.type.find("serial") != std::string::npos) left.kind = Kind::distinct;
  for (const Node node : column["constraints"]) {
    const std::string_view kind = node.body().text("contype");
    if (kind == "CONSTR_DEFAULT") left = default_value(node.body()["raw_expr"]);
    if (kind == "CONSTR_IDENTITY") left.kind = Kind::distinct;
    if (kind == "CONSTR_GENERATED") left.kind = Kind::unknown;
  }
  added.in_rows = added.in_inserts = std::move(left);
  return added;
}

bool check_holds(Node expression, const NewColumns& columns) {
  return all_new(expression, columns) && holds(evaluate(expression, in_rows(columns))) &&
         holds(evaluate(expression, in_inserts(columns)));
}

Answer collides(Node key, const std::vector<std::string>& columns, const NewColumns& new_columns) {
  const bool known = std::ranges::all_of(
      columns, [&](const std::string& name) { return name.empty() || new_columns(name) != nullptr; });
  const Node predicate = key["whereClause"];
  bool all = known && all_new(predicate, new_columns);
  for (const Node element : key["indexParams"]) all &= all_new(element.body()["expr"], new_columns);
  if (!all) return Answer::maybe;
  return std::max(same_by(key, columns, in_rows(new_columns)), same_by(key, columns, in_inserts(new_columns)));
}

bool may_dangle(Node constraint, const std::vector<std::string>& keys, const NewColumns& columns) {
  const auto left_null = [&](const std::string& name) {
    const NewColumn* column = columns(name);
    return column != nullptr && column->in_inserts.is_null() && column->in_rows.is_null();
  };
  const bool known = std::ranges::all_of(keys, [&](const std::string& name) { return columns(name) != nullptr; });
  const bool full = constraint.text("fk_matchtype") == "f";
  return !known || !(full ? std::ranges::all_of(keys, left_null) : std::ranges::any_of(keys, left_null));
}

bool may_be_null(std::string_view column, const NewColumns& columns) {
  const NewColumn* added = columns(column);
  if (added == nullptr) return true;
  const auto null = [](const Value& value) { return value.is_null() || value.kind == Kind::unknown; };
  return null(added->in_rows) || null(added->in_inserts);
}

}  // namespace diastole::sql
