// FROM: what a query sees.
#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "builtin_functions.hpp"
#include "query_walk.hpp"

namespace diastole::sql {

using core::Answer;

namespace {

// Whether this array cannot be one of rows. Where it is one after all ($1), its columns are names that nobody knows.
bool plain_array(Node argument) {
  std::vector<Node> left{argument};
  while (!left.empty()) {
    const Node part = left.back();
    left.pop_back();
    const std::string_view tag = part.tag();
    if (tag == "A_ArrayExpr") {
      for (const Node element : part.body()["elements"]) left.push_back(element);
    } else if (tag == "FuncCall") {
      const std::string_view name = last_name(part.body()["funcname"]);
      if (name != "string_to_array" && name != "regexp_split_to_array" && name != "xpath") return false;
    } else if (tag != "ParamRef" && tag != "A_Const") {
      return false;
    }
  }
  return true;
}

}  // namespace

void QueryWalk::from(Node items, Level& level) {
  for (const Node item : items) from_item(item, level);
}

void QueryWalk::from_item(Node item, Level& level) {
  const std::size_t start = level.ranges.size();
  if (depth_ >= kMaxQueryDepth || start >= kMaxRanges) {
    record_.any_column(depth_ >= kMaxQueryDepth ? "nested too deeply" : "too many tables in one FROM");
    return;
  }
  ++depth_;
  std::vector<Node> joins;
  for (; item.tag() == "JoinExpr"; item = item.body()["larg"]) joins.push_back(item.body());
  from_leaf(item, level);
  for (const Node body : std::views::reverse(joins)) {
    const std::size_t middle = level.ranges.size();
    from_item(body["rarg"], level);
    if (middle >= kMaxRanges) break;  // each USING after it would add another, as large as all before
    join(body, level, start, middle);
  }
  --depth_;
}

void QueryWalk::from_leaf(Node item, Level& level) {
  const std::string_view tag = item.tag();
  const Node body = item.body();
  if (tag == "RangeVar") {
    level.ranges.push_back(table_range(body));
  } else if (tag == "RangeSubselect") {
    const Node subquery = body["subquery"];
    const Output output = query(subquery.tag(), subquery.body(), body.flag("lateral") ? &level : level.outer);
    Range range = derived(output, {});
    rename(range, body["alias"]);
    level.ranges.push_back(std::move(range));
  } else if (tag == "RangeFunction") {
    function_range(body, level);
  } else if (tag == "RangeTableFunc") {
    xml_range(body, level);
  } else if (tag == "RangeTableSample") {
    from_item(body["relation"], level);
    expression(body["args"], level);
    expression(body["repeatable"], level);
  } else {
    record_.any_column(fmt::format("{} in FROM is not known", tag.empty() ? "something" : tag));
    level.ranges.push_back({.open = true, .open_rows = true});
  }
}

Range QueryWalk::derived(const Output& output, std::string_view name) {
  Range range{.name = name, .open = output.open};
  range.columns.reserve(output.names.size());
  for (const std::string_view column : output.names) range.columns.push_back({column, {}});
  return range;
}

Range QueryWalk::base_range(Node range_var) {
  const std::string_view schema = range_var.text("schemaname");
  const std::string_view name = range_var.text("relname");
  const core::CatalogRelation* relation = record_.index().relation(schema, name);
  Range range{.name = name};
  range.table = relation != nullptr ? record_.table(*relation) : record_.unknown_table(schema, name);
  if (relation != nullptr && relation->kind != core::RelationKind::sequence) {
    range.relation = relation;
    range.schema = relation->name.schema;
  } else {
    range.open = true;
    range.open_tables = {range.table};
    range.schema = schema;
    range.any_schema = schema.empty();
  }
  rename(range, range_var["alias"]);
  return range;
}

Range QueryWalk::table_range(Node range_var) {
  const std::string_view name = range_var.text("relname");
  if (range_var.text("schemaname").empty()) {
    for (const Cte& cte : std::views::reverse(ctes_)) {
      if (cte.name != name) continue;
      Range range = derived(cte.output, name);
      rename(range, range_var["alias"]);
      return range;
    }
  }
  Range range = base_range(range_var);
  record_.rows(range.table, Access::read);
  return range;
}

void QueryWalk::rename(Range& range, Node alias) {
  if (!alias) return;
  if (const std::string_view name = alias.text("aliasname"); !name.empty()) {
    range.name = name;
    range.schema = {};
    range.any_schema = false;
  }
  const Node names = alias["colnames"];
  if (names.empty()) return;
  std::vector<Range::Column> columns;
  columns.reserve(range.size());
  for (std::size_t at = 0; at < range.size(); ++at) columns.push_back({range.column_name(at), range.bases(at)});
  std::size_t at = 0;
  for (const Node name : names) {
    if (at == columns.size()) {
      columns.emplace_back();
      for (const TableId table : range.open_tables) columns[at].bases.push_back({table, kSomeColumn});
    }
    columns[at].name = name.body().text("sval");
    // By position: without one of them the names would mean other columns.
    for (const Range::Base& base : columns[at].bases) {
      record_.column(base.table, base.column, Access::read, Answer::maybe);
    }
    ++at;
  }
  range.columns = std::move(columns);
  range.relation = nullptr;
}

void QueryWalk::join(Node body, Level& level, std::size_t start, std::size_t middle) {
  const std::vector<std::string_view> names = join_names(body, level, start, middle);
  if (!names.empty()) {
    Range both = merged(names, level, start, middle);
    if (const std::string_view alias = body["join_using_alias"].text("aliasname"); !alias.empty()) {
      Range named = both;
      named.name = alias;
      named.unqualified = false;
      named.qualified = true;
      level.ranges.push_back(std::move(named));
    }
    level.ranges.insert(level.ranges.begin() + static_cast<std::ptrdiff_t>(start), std::move(both));
  }
  if (const Node condition = body["quals"]) {
    const std::size_t first = std::exchange(level.first, start);
    expression(condition, level);
    level.first = first;
  }
  if (const Node alias = body["alias"]) alias_join(alias, level, start);
}

// Of USING, or those that NATURAL finds.
std::vector<std::string_view> QueryWalk::join_names(Node body, const Level& level, std::size_t start,
                                                    std::size_t middle) {
  std::vector<std::string_view> names;
  for (const Node name : body["usingClause"]) names.push_back(name.body().text("sval"));
  if (!body.flag("isNatural")) return names;
  const std::size_t end = level.ranges.size();
  const auto open = [&](std::size_t begin, std::size_t stop) {
    return std::any_of(level.ranges.begin() + static_cast<std::ptrdiff_t>(begin),
                       level.ranges.begin() + static_cast<std::ptrdiff_t>(stop),
                       [](const Range& range) { return range.unqualified && range.open; });
  };
  const bool left_open = open(start, middle);
  const bool right_open = open(middle, end);
  if (left_open || right_open) record_.unsure("which columns NATURAL JOIN joins on is not known");
  for (std::size_t i = start; i < end; ++i) {
    const Range& range = level.ranges[i];
    const bool is_left = i < middle;
    if (!range.unqualified) continue;
    for (std::size_t at = 0; at < range.size(); ++at) {
      const std::string_view name = range.column_name(at);
      if (range.hides(name)) continue;
      if (is_left ? right_open : left_open) {
        use_column(record_, range, {Answer::yes, at}, name, Access::read, Answer::maybe);
      }
      if (!is_left) continue;
      const bool common = std::any_of(
          level.ranges.begin() + static_cast<std::ptrdiff_t>(middle), level.ranges.end(), [&](const Range& other) {
            return other.unqualified && !other.hides(name) && other.look(name).has == Answer::yes;
          });
      if (common) names.push_back(name);
    }
  }
  return names;
}

// The join's own columns, in the place of both sides'.
Range QueryWalk::merged(const std::vector<std::string_view>& names, Level& level, std::size_t start,
                        std::size_t middle) {
  Range range{.qualified = false};
  const std::size_t end = level.ranges.size();
  for (const std::string_view name : names) {
    Range::Column column{name, {}};
    merge_side(column, level, start, middle);
    merge_side(column, level, middle, end);
    range.columns.push_back(std::move(column));
  }
  return range;
}

void QueryWalk::merge_side(Range::Column& column, Level& level, std::size_t begin, std::size_t end) {
  std::vector<std::pair<Range*, Range::Spot>> found;
  bool any = false;
  for (std::size_t i = begin; i < end; ++i) {
    Range& range = level.ranges[i];
    if (!range.unqualified || range.hides(column.name)) continue;
    const Range::Spot spot = range.look(column.name);
    if (spot.has != Answer::no) found.emplace_back(&range, spot);
    any = any || spot.has == Answer::yes;
  }
  if (found.empty()) unresolved(column.name);
  const Answer answer = found.size() == 1 ? Answer::yes : Answer::maybe;
  for (const auto& [range, spot] : found) {
    use_column(record_, *range, spot, column.name, Access::read, answer);
    // An open one may still have it, unless another does.
    if (spot.has == Answer::yes) {
      for (const Range::Base& base : range->bases(spot.at)) column.bases.push_back(base);
    }
    if (spot.has == Answer::yes || !any) range->hidden.push_back(column.name);
  }
}

void QueryWalk::alias_join(Node alias, Level& level, std::size_t start) {
  Range range;
  for (std::size_t i = start; i < level.ranges.size(); ++i) {
    const Range& part = level.ranges[i];
    if (!part.unqualified) continue;
    for (std::size_t at = 0; at < part.size(); ++at) {
      if (!part.hides(part.column_name(at))) range.columns.push_back({part.column_name(at), part.bases(at)});
    }
    range.open = range.open || part.open;
    range.open_rows = range.open_rows || part.open_rows;
    range.open_tables.insert(range.open_tables.end(), part.open_tables.begin(), part.open_tables.end());
  }
  rename(range, alias);
  level.ranges.erase(level.ranges.begin() + static_cast<std::ptrdiff_t>(start), level.ranges.end());
  level.ranges.push_back(std::move(range));
}

void QueryWalk::function_range(Node body, Level& level) {
  Range range;
  const Node functions = body["functions"];
  const auto defined = [&](Node definitions) {
    for (const Node column : definitions) {
      range.columns.push_back({column.body().text("colname"), {}});
      type_name(column.body()["typeName"]);
    }
  };
  const bool sole = functions.size() == 1;
  for (const Node function : functions) {
    const Node call = function.body()["items"].front();
    const Node own = function.body()["items"].back();
    if (own.tag() == "List" || !body["coldeflist"].empty()) {
      expression(call, level);
      defined(own.tag() == "List" ? own.body()["items"] : body["coldeflist"]);
    } else {
      one_function(call, range, level);
    }
    if (sole) range.name = result_name(call);
  }
  const Node alias = body["alias"];
  const Node call = functions.front().body()["items"].front();
  const auto* builtin = builtin_function(last_name(call.body()["funcname"]));
  const bool value = sole && range.columns.size() == 1 && (builtin == nullptr || builtin->columns.empty()) &&
                     body["coldeflist"].empty();
  // A single value takes the name of the whole.
  if (value && alias) range.columns[0].name = alias.text("aliasname");
  if (body.flag("ordinality")) range.columns.push_back({"ordinality", {}});
  rename(range, alias);
  level.ranges.push_back(std::move(range));
}

void QueryWalk::one_function(Node call, Range& range, const Level& level) {
  expression(call, level);
  const std::string_view name = result_name(call);
  if (call.tag() != "FuncCall") {
    range.columns.push_back({name, {}});
    return;
  }
  const Node written = call.body()["funcname"];
  const std::string_view schema = written.size() > 1 ? written.front().body().text("sval") : std::string_view{};
  const bool own = record_.index().function(schema, name).kind == UseIndex::Function::Kind::builtin;
  const BuiltinFunction* builtin = own ? builtin_function(name) : nullptr;
  if (name == "unnest" && builtin != nullptr) {
    unnest_columns(call.body()["args"], range, level);
  } else if (builtin == nullptr || builtin->open) {
    range.columns.push_back({name, {}});
    range.open = true;
    range.open_rows = range.open_rows || builtin == nullptr;
  } else if (builtin->columns.empty()) {
    range.columns.push_back({name, {}});
  } else {
    for (const auto part : std::views::split(builtin->columns, ',')) {
      range.columns.push_back({std::string_view(part), {}});
    }
  }
}

// A column for each array; of an array of rows, their columns.
void QueryWalk::unnest_columns(Node arguments, Range& range, const Level& level) {
  for (const Node argument : arguments) {
    range.columns.push_back({"unnest", {}});
    if (argument.tag() == "TypeCast") {
      // The type's row, if it is one, is read as a whole already.
      const std::string_view type = last_name(argument.body()["typeName"]["names"]);
      range.open = range.open || record_.index().relation({}, type) != nullptr;
    } else if (argument.tag() == "ColumnRef") {
      const auto column = one_column(argument, level);
      const core::CatalogRelation* row = column_row_type(argument, level);
      range.open = range.open || row != nullptr || !column || column->range->bases(column->spot.at).empty();
      if (row != nullptr) range.open_tables.push_back(record_.table(*row, Answer::maybe));
    } else {
      range.open = range.open || !plain_array(argument);
    }
  }
}

void QueryWalk::xml_range(Node body, Level& level) {
  Range range{.name = "xmltable"};
  expression(body["docexpr"], level);
  expression(body["rowexpr"], level);
  expression(body["namespaces"], level);
  for (const Node column : body["columns"]) {
    range.columns.push_back({column.body().text("colname"), {}});
    type_name(column.body()["typeName"]);
    expression(column.body()["colexpr"], level);
    expression(column.body()["coldefexpr"], level);
  }
  rename(range, body["alias"]);
  level.ranges.push_back(std::move(range));
}

}  // namespace diastole::sql
