// Expressions, and the names in them.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "builtin_functions.hpp"
#include "query_walk.hpp"

namespace diastole::sql {

using core::Answer;

namespace {

// Expressions that are no more than their parts.
constexpr std::array<std::string_view, 21> kPlainNodes = {
    "A_Expr",  "BoolExpr",     "NullTest",    "BooleanTest",   "CaseExpr",  "CaseWhen",     "CoalesceExpr",
    "RowExpr", "MinMaxExpr",   "A_ArrayExpr", "CollateClause", "List",      "NamedArgExpr", "SortBy",
    "XmlExpr", "GroupingFunc", "GroupingSet", "XmlSerialize",  "A_Indices", "WindowDef",    "ResTarget"};
// Expressions that name nothing.
constexpr std::array<std::string_view, 11> kLeafNodes = {"A_Const", "ParamRef",      "String",          "Integer",
                                                         "Float",   "Boolean",       "BitString",       "SetToDefault",
                                                         "A_Star",  "CurrentOfExpr", "SQLValueFunction"};

template <std::size_t Count>
bool is_among(const std::array<std::string_view, Count>& tags, std::string_view tag) {
  return std::ranges::find(tags, tag) != tags.end();
}

Node without_casts(Node node) {
  while (node.tag() == "TypeCast") node = node.body()["arg"];
  return node;
}

// Of a string constant, with or without a cast; nothing for any other expression.
std::optional<std::string_view> constant_text(Node node) {
  node = without_casts(node);
  const Node value = node.tag() == "A_Const" ? node.body()["sval"] : Node{};
  if (!value) return std::nullopt;
  return value.is_object() ? value.text("sval") : value.as_text();
}

struct WrittenName {
  std::string_view schema;
  std::string_view name;
};
WrittenName written_as(Node names) {
  std::string_view schema;
  std::string_view name;
  for (const Node part : names) {
    schema = name;
    name = part.body().text("sval");
  }
  return {schema, name};
}

}  // namespace

void QueryWalk::expression(Node root, const Level& level) {
  if (!root) return;
  const std::size_t mark = pending_.size();
  pending_.push_back(root);
  finish(mark, level);
}

void QueryWalk::finish(std::size_t mark, const Level& level) {
  while (pending_.size() > mark) {
    const Node node = pending_.back();
    pending_.pop_back();
    expression_node(node, level);
  }
}

void QueryWalk::push_children(Node body) {
  if (!body.is_object()) return;
  for (const auto field : body.fields()) {
    const Node value(field.value);
    if (field.key == "typeName") {
      type_name(value);
    } else if (field.key == "over") {
      push_children(value);
    } else if (value.is_object() || value.is_array()) {
      pending_.push_back(value);
    }
  }
}

void QueryWalk::expression_node(Node node, const Level& level) {
  if (node.is_array()) {
    for (const Node item : node) pending_.push_back(item);
    return;
  }
  const std::string_view tag = node.tag();
  const Node body = node.body();
  if (tag == "ColumnRef") {
    column_ref(body["fields"], level);
  } else if (is_among(kLeafNodes, tag)) {
    return;
  } else if (is_among(kPlainNodes, tag)) {
    push_children(body);
  } else if (tag == "FuncCall") {
    func_call(body, level);
  } else if (tag == "TypeCast") {
    type_cast(body);
  } else if (tag == "SubLink") {
    sub_link(body, level);
  } else if (tag == "A_Indirection") {
    indirection(body, level);
  } else if (node.is_object() && node.fields().size() > 0) {
    record_.any_column(fmt::format("{} is not known", tag.empty() ? "a part of an expression" : tag));
    push_children(tag.empty() ? node : body);
  }
}

void QueryWalk::sub_link(Node body, const Level& level) {
  if (const Node tested = body["testexpr"]) pending_.push_back(tested);
  const Node subselect = body["subselect"];
  query(subselect.tag(), subselect.body(), &level);
}

void QueryWalk::column_ref(Node fields, const Level& level) {
  std::array<std::string_view, 4> names;
  std::size_t count = 0;
  bool whole = false;
  for (const Node field : fields) {
    if (field.tag() == "A_Star") {
      whole = true;
    } else if (count < names.size()) {
      names[count++] = field.body().text("sval");
    }
  }
  if (count == 0) return star(level);
  if (count == 1 && !whole) return plain_name(names[0], level);
  // The last is the column; before it stand the table, its schema, and the database, which can only be this one.
  const std::string_view column = whole ? std::string_view{} : names[--count];
  const Range* range = count == 1 ? find_range(level, names[0]) : find_range(level, names[count - 2], names[count - 1]);
  if (!whole) return qualified_name(range, column);
  if (range != nullptr) return use_row(record_, *range, Access::read);
  record_.any_column(fmt::format("what {}.* stands for is not known", names[count - 1]));
}

void QueryWalk::star(const Level& level) {
  for (std::size_t i = level.first; i < level.ranges.size(); ++i) {
    if (level.ranges[i].unqualified) use_row(record_, level.ranges[i], Access::read);
  }
}

void QueryWalk::plain_name(std::string_view name, const Level& level) {
  const Candidates all = candidates(level, name);
  if (!all.found.empty()) {
    // Two of a name PostgreSQL would refuse, if both were there.
    const Answer answer = all.found.size() == 1 && all.possible.empty() ? Answer::yes : Answer::maybe;
    for (const auto& [range, spot] : all.found) use_column(record_, *range, spot, name, Access::read, answer);
    for (const auto& [range, spot] : all.possible) use_column(record_, *range, spot, name, Access::read, Answer::maybe);
    return;
  }
  const Range* row = find_range(level, name);
  if (!all.possible.empty()) {
    const Answer answer = all.possible.size() == 1 && row == nullptr ? Answer::yes : Answer::maybe;
    for (const auto& [range, spot] : all.possible) use_column(record_, *range, spot, name, Access::read, answer);
    if (row != nullptr) use_row(record_, *row, Access::read, Answer::maybe);
  } else if (row != nullptr) {
    use_row(record_, *row, Access::read);
  } else if (!is_system_column(name)) {
    unresolved(name);
  }
}

void QueryWalk::qualified_name(const Range* range, std::string_view name) {
  if (range == nullptr) return unresolved(name);
  const Range::Spot spot = range->look(name);
  if (spot.has != Answer::no) return use_column(record_, *range, spot, name, Access::read, Answer::yes);
  if (is_system_column(name)) return;
  // t.f is f(t) where there is such a function. Or else the snapshot is not up to date.
  use_row(record_, *range, Access::read, Answer::maybe);
  const UseIndex::Function function = record_.index().function({}, name);
  for (const UseIndex::Hold& hold : function.mentions) record_.maybe(hold);
  if (range->table == kNoTable) return unresolved(name);
  record_.column(range->table, name, Access::read, Answer::maybe);
  record_.unsure(fmt::format("column {} is not in the table that the snapshot knows", name));
}

void QueryWalk::unresolved(std::string_view name) {
  record_.somewhere(name);
  record_.unsure(fmt::format("column {} is in none of the tables that are known", name));
}

const Range* QueryWalk::whole_row(Node column_ref, const Level& level) {
  const std::string_view name = bare_name(column_ref);
  if (name.empty()) return nullptr;
  const Candidates all = candidates(level, name);
  return all.found.empty() && all.possible.empty() ? find_range(level, name) : nullptr;
}

std::optional<Candidates::One> QueryWalk::one_column(Node column_ref, const Level& level) {
  if (column_ref.tag() != "ColumnRef") return std::nullopt;
  const Node fields = column_ref.body()["fields"];
  if (const std::string_view name = bare_name(column_ref); !name.empty()) {
    const Candidates all = candidates(level, name);
    return all.found.size() == 1 ? std::optional(all.found[0]) : std::nullopt;
  }
  if (fields.size() != 2 || fields.back().tag() != "String") return std::nullopt;
  const Range* range = find_range(level, fields.front().body().text("sval"));
  if (range == nullptr) return std::nullopt;
  const Range::Spot spot = range->look(last_name(fields));
  return spot.has == Answer::yes ? std::optional(Candidates::One{range, spot}) : std::nullopt;
}

const core::CatalogRelation* QueryWalk::column_row_type(Node column_ref, const Level& level) const {
  const auto column = one_column(column_ref, level);
  return column ? row_type_of(record_, *column->range, column->spot) : nullptr;
}

void QueryWalk::field(const core::CatalogRelation& row, std::string_view name) {
  const TableId table = record_.table(row, Answer::maybe);
  if (const auto* column = row.column(name)) {
    record_.column(table, static_cast<std::size_t>(column - row.columns.data()), Access::read);
  } else {
    record_.column(table, name, Access::read, Answer::maybe);
  }
}

// (argument).a.b[1].*
void QueryWalk::indirection(Node body, const Level& level) {
  const Node argument = body["arg"];
  const Node parts = body["indirection"];
  for (const Node part : parts) {
    if (part.tag() == "A_Indices") pending_.push_back(part);
  }
  const Range* range = whole_row(argument, level);
  if (range == nullptr || parts.front().tag() != "String") {
    pending_.push_back(argument);
    return fields_of(argument, parts, level);
  }
  bool first = true;
  const core::CatalogRelation* row = nullptr;
  for (const Node part : parts) {
    const std::string_view name = part.body().text("sval");
    if (first) {
      qualified_name(range, name);
      row = row_type_of(record_, *range, range->look(name));
    } else if (part.tag() == "String" && row != nullptr) {
      field(*row, name);
      row = nullptr;
    } else if (part.tag() == "String") {
      record_.somewhere(name);
    }
    first = false;
  }
}

void QueryWalk::fields_of(Node argument, Node parts, const Level& level) {
  // An element of an array of rows is a row.
  while (argument.tag() == "A_Indirection" && argument.body()["indirection"].front().tag() == "A_Indices" &&
         argument.body()["indirection"].back().tag() == "A_Indices") {
    argument = argument.body()["arg"];
  }
  const core::CatalogRelation* row = column_row_type(argument, level);
  const auto column = one_column(argument, level);
  // A type of its own, no table's; what its fields are made of is not known.
  bool told = row == nullptr && column && !column->range->bases(column->spot.at).empty();
  if (argument.tag() == "FuncCall") {
    const WrittenName name = written_as(argument.body()["funcname"]);
    const auto* builtin = builtin_function(name.name);
    told = builtin != nullptr && !builtin->columns.empty() &&
           record_.index().function(name.schema, name.name).kind == UseIndex::Function::Kind::builtin;
  }
  for (const Node part : parts) {
    const bool named = part.tag() == "String";
    if (!named && part.tag() != "A_Star") continue;
    if (row != nullptr && named) {
      field(*row, part.body().text("sval"));
    } else if (row != nullptr) {
      record_.every_column(record_.table(*row, Answer::maybe), Access::read);
    } else if (named && !told) {
      record_.somewhere(part.body().text("sval"));
    } else if (!named && argument.tag() == "ParamRef") {
      record_.any_column("which row a parameter is of is not known");
    }
    row = nullptr;
    told = false;
  }
}

void QueryWalk::func_call(Node body, const Level& level) {
  const Node names = body["funcname"];
  const Node arguments = body["args"];
  if (names.size() == 1 && arguments.size() == 1 && as_column(last_name(names), arguments.front(), level)) return;
  called(names, arguments);
  push_children(body);
}

// f(t) is t.f where t is a row that has such a column.
bool QueryWalk::as_column(std::string_view function, Node argument, const Level& level) {
  if (argument.tag() != "ColumnRef") return false;
  using Kind = UseIndex::Function::Kind;
  if (const Range* range = whole_row(argument, level)) {
    const Range::Spot spot = range->look(function);
    if (spot.has != Answer::yes) return false;
    use_column(record_, *range, spot, function, Access::read, Answer::yes);
    const Kind kind = record_.index().function({}, function).kind;
    if (kind == Kind::builtin) use_row(record_, *range, Access::read, Answer::maybe);
    return kind != Kind::known;
  }
  const core::CatalogRelation* row = column_row_type(argument, level);
  if (row == nullptr || row->column(function) == nullptr) return false;
  field(*row, function);
  pending_.push_back(argument);
  return record_.index().function({}, function).kind == Kind::unknown;
}

void QueryWalk::called(Node names, Node arguments) {
  const WrittenName name = written_as(names);
  const UseIndex::Function function = record_.index().function(name.schema, name.name);
  switch (function.kind) {
    case UseIndex::Function::Kind::builtin: return called_by_text(arguments, name.name);
    case UseIndex::Function::Kind::known:
      for (const UseIndex::Hold& hold : function.mentions) record_.maybe(hold);
      return record_.unsure(fmt::format("function {} may use more than the catalog tells of it", dotted_name(names)));
    case UseIndex::Function::Kind::unknown:
      return record_.any_column(fmt::format("function {} is not known and may use any table", dotted_name(names)));
  }
}

void QueryWalk::called_by_text(Node arguments, std::string_view function) {
  switch (names_in_text(function)) {
    case NamesInText::nothing: return;
    case NamesInText::table:
      for (const Node argument : arguments) table_by_text(argument);
      return;
    case NamesInText::sequence: return sequence_by_text(arguments, false);
    case NamesInText::owned_sequence: return sequence_by_text(arguments, true);
    case NamesInText::anything: return record_.any_column(fmt::format("{} reads what its arguments say", function));
  }
}

void QueryWalk::sequence_by_text(Node arguments, bool owned) {
  const Node call = without_casts(arguments.front());
  if (call.tag() == "FuncCall" && last_name(call.body()["funcname"]) == "pg_get_serial_sequence")
    return;  // tells itself
  const auto text = constant_text(arguments.front());
  const auto column = owned ? constant_text(arguments.back()) : std::nullopt;
  const std::vector<std::string> parts = text ? name_parts(*text) : std::vector<std::string>{};
  const std::string_view schema = parts.size() == 2 ? std::string_view(parts[0]) : std::string_view{};
  if (parts.empty() || (owned && !column)) {
    for (const UseIndex::Hold& hold : record_.index().sequences()) record_.maybe(hold);
    record_.unsure("which sequence is used is not known");
  } else if (!owned) {
    record_.sequence(schema, parts.back());
  } else if (const core::CatalogRelation* table = record_.index().relation(schema, parts.back())) {
    field(*table, *column);
  } else {
    record_.column(record_.unknown_table(schema, parts.back()), *column, Access::read, Answer::yes);
  }
}

// A regclass, or what becomes one.
void QueryWalk::table_by_text(Node argument) {
  const std::string_view tag = without_casts(argument).tag();
  if (tag == "ColumnRef") return;  // of rows that are there
  const auto text = constant_text(argument);
  if (!text && tag == "A_Const") return;
  const std::vector<std::string> parts = text ? name_parts(*text) : std::vector<std::string>{};
  if (parts.empty()) {
    if (!text) record_.any_table("which table is named by an argument is not known");
    return;
  }
  const std::string_view schema = parts.size() == 2 ? std::string_view(parts[0]) : std::string_view{};
  if (const core::CatalogRelation* table = record_.index().relation(schema, parts.back())) {
    record_.table(*table, Answer::maybe);
  } else {
    record_.unknown_table(schema, parts.back(), Answer::maybe);
  }
}

void QueryWalk::type_cast(Node body) {
  const Node argument = body["arg"];
  if (last_name(body["typeName"]["names"]) == "regclass") table_by_text(argument);
  type_name(body["typeName"]);
  pending_.push_back(argument);
}

void QueryWalk::type_name(Node type) {
  const WrittenName written = written_as(type["names"]);
  if (written.schema == "pg_catalog") return;
  const core::CatalogRelation* row = record_.index().relation(written.schema, written.name);
  if (row == nullptr && written.name.starts_with('_')) {  // how PostgreSQL calls the array
    row = record_.index().relation(written.schema, written.name.substr(1));
  }
  if (row == nullptr) return;
  record_.every_column(record_.table(*row, Answer::maybe), Access::read, Answer::maybe);
  record_.unsure(fmt::format("which columns of the row type {} are used is not known", written.name));
}

}  // namespace diastole::sql
