// Statements, and the queries that only read.
#include "query_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ranges>

namespace diastole::sql {

using core::Answer;

namespace {

// Statements that name no table and call nothing.
constexpr std::array<std::string_view, 28> kNoTableStatements = {"TransactionStmt",
                                                                 "VariableSetStmt",
                                                                 "VariableShowStmt",
                                                                 "DiscardStmt",
                                                                 "ListenStmt",
                                                                 "UnlistenStmt",
                                                                 "NotifyStmt",
                                                                 "CheckPointStmt",
                                                                 "DeallocateStmt",
                                                                 "ClosePortalStmt",
                                                                 "FetchStmt",
                                                                 "ConstraintsSetStmt",
                                                                 "LoadStmt",
                                                                 "CreateRoleStmt",
                                                                 "AlterRoleStmt",
                                                                 "AlterRoleSetStmt",
                                                                 "DropRoleStmt",
                                                                 "GrantRoleStmt",
                                                                 "CreatedbStmt",
                                                                 "DropdbStmt",
                                                                 "AlterDatabaseStmt",
                                                                 "AlterDatabaseSetStmt",
                                                                 "AlterDatabaseRefreshCollStmt",
                                                                 "AlterSystemStmt",
                                                                 "CreateTableSpaceStmt",
                                                                 "DropTableSpaceStmt",
                                                                 "CreateEnumStmt",
                                                                 "AlterEnumStmt"};

std::string statement_words(std::string_view tag) {
  if (tag.ends_with("Stmt")) tag.remove_suffix(4);
  return std::string(tag);
}

bool plain_set_operand(Node body) {
  return !body["withClause"] && !body["sortClause"] && !body["limitOffset"] && !body["limitCount"] &&
         !body["lockingClause"];
}

bool is_set_operation(Node body) {
  const std::string_view op = body.text("op");
  return !op.empty() && op != "SETOP_NONE";
}

}  // namespace

void QueryWalk::statement(std::string_view tag, Node body) {
  if (path_set_) {
    record_.any_column("the text sets search_path, so that names may mean other tables than they seem to");
  }
  if (tag == "SelectStmt" || tag == "InsertStmt" || tag == "UpdateStmt" || tag == "DeleteStmt" || tag == "MergeStmt") {
    query(tag, body, nullptr);
    return;
  }
  if (tag == "VariableSetStmt" && (body.text("name") == "search_path" || body.text("kind") == "VAR_RESET_ALL")) {
    path_set_ = true;
    return;
  }
  if (std::ranges::find(kNoTableStatements, tag) != kNoTableStatements.end()) return;
  utility(tag, body);
}

void QueryWalk::utility(std::string_view tag, Node body) {
  if (tag == "ExplainStmt" || tag == "PrepareStmt" || tag == "DeclareCursorStmt" || tag == "CreateTableAsStmt" ||
      tag == "ViewStmt") {
    for (const Node type : body["argtypes"]) type_name(type.body());
    inner(body["query"]);
  } else if (tag == "CopyStmt") {
    copy(body);
  } else if (tag == "CallStmt") {
    const Level none;
    const std::size_t mark = pending_.size();
    func_call(body["funccall"], none);
    finish(mark, none);
  } else if (tag == "TruncateStmt" || tag == "LockStmt" || tag == "VacuumStmt" || tag == "RefreshMatViewStmt") {
    maintenance(tag, body);
  } else {
    record_.any_column(fmt::format("{} is not analysed", statement_words(tag)));
  }
}

void QueryWalk::inner(Node node) {
  statement(node.tag(), node.body());
}

void QueryWalk::maintenance(std::string_view tag, Node body) {
  if (tag == "RefreshMatViewStmt") {
    record_.rows(base_range(body["relation"]).table, Access::write);
    return;
  }
  for (const Node item : body["relations"]) {
    const Range range = base_range(item.body());
    if (tag == "TruncateStmt") record_.rows(range.table, Access::write);
  }
  for (const Node item : body["rels"]) {
    const Range range = base_range(item.body()["relation"]);
    record_.rows(range.table, Access::read);
    for (const Node column : item.body()["va_cols"]) {
      qualified_name(&range, column.body().text("sval"));
    }
  }
}

void QueryWalk::copy(Node body) {
  if (const Node from_query = body["query"]) return inner(from_query);
  const Access access = body.flag("is_from") ? Access::write : Access::read;
  Level level;
  level.ranges.push_back(base_range(body["relation"]));
  const Range& range = level.ranges.front();
  record_.rows(range.table, access);
  if (body["attlist"].empty()) use_row(record_, range, access);
  for (const Node column : body["attlist"]) {
    const std::string_view name = column.body().text("sval");
    const Range::Spot spot = range.look(name);
    if (spot.has == Answer::no) unresolved(name);
    use_column(record_, range, spot, name, access, Answer::yes);
  }
  expression(body["whereClause"], level);
}

Output QueryWalk::query(std::string_view tag, Node body, const Level* outer, std::optional<CteId> self) {
  if (depth_ >= kMaxQueryDepth) {
    record_.any_column("nested too deeply");
    return {.open = true};
  }
  ++depth_;
  const std::size_t in_sight = ctes_.size();
  Output output{.open = true};
  with(body["withClause"], outer);
  if (tag == "SelectStmt") {
    output = is_set_operation(body) ? set_operation(body, outer, self) : select(body, outer);
  } else if (tag == "InsertStmt") {
    output = insert(body, outer);
  } else if (tag == "UpdateStmt") {
    output = update(body, outer);
  } else if (tag == "DeleteStmt") {
    output = remove(body, outer);
  } else if (tag == "MergeStmt") {
    output = merge(body, outer);
  } else {
    record_.any_column(fmt::format("{} is not known", tag.empty() ? "a part of the query" : tag));
  }
  ctes_.resize(in_sight);
  --depth_;
  return output;
}

void QueryWalk::with(Node clause, const Level* outer) {
  const bool recursive = clause.flag("recursive");
  CteId next = ctes_.size();
  if (recursive) {
    // Each may name itself, and those behind it, whose columns are not known yet.
    for (const Node node : clause["ctes"]) {
      Cte cte{.name = node.body().text("ctename"), .body = node.body(), .output = {.open = true}};
      name_columns(cte);
      ctes_.push_back(std::move(cte));
    }
  }
  for (const Node node : clause["ctes"]) {
    const Node inner_query = node.body()["ctequery"];
    Cte cte{.name = node.body().text("ctename"), .body = node.body(), .output = {}};
    cte.output = query(inner_query.tag(), inner_query.body(), outer, recursive ? std::optional(next) : std::nullopt);
    name_columns(cte);
    const Level none;
    expression(node.body()["cycle_clause"]["cycle_mark_value"], none);
    expression(node.body()["cycle_clause"]["cycle_mark_default"], none);
    if (recursive) {
      ctes_[next] = std::move(cte);
    } else {
      ctes_.push_back(std::move(cte));
    }
    ++next;
  }
}

void QueryWalk::name_columns(Cte& cte) {
  std::size_t at = 0;
  for (const Node name : cte.body["aliascolnames"]) {
    if (at == cte.output.names.size()) cte.output.names.emplace_back();
    cte.output.names[at++] = name.body().text("sval");
  }
  for (const std::string_view made :
       {cte.body["search_clause"].text("search_seq_column"), cte.body["cycle_clause"].text("cycle_mark_column"),
        cte.body["cycle_clause"].text("cycle_path_column")}) {
    if (!made.empty()) cte.output.names.push_back(made);
  }
}

Output QueryWalk::set_operation(Node body, const Level* outer, std::optional<CteId> self) {
  std::vector<Node> rights;
  Node left = body;
  do {
    rights.push_back(left["rarg"]);
    left = left["larg"];
  } while (is_set_operation(left) && plain_set_operand(left));
  Output output = query("SelectStmt", left, outer);
  if (self) {
    // The recursive arm sees the columns of the first, under the names that the CTE gives them.
    ctes_[*self].output = output;
    name_columns(ctes_[*self]);
  }
  for (const Node right : std::views::reverse(rights)) query("SelectStmt", right, outer);
  const Level none{.outer = outer};
  for (const Node item : body["sortClause"]) {
    // Only names of the result can stand here.
    const std::string_view name = bare_name(item.body()["node"]);
    if (name.empty() || (!output.open && std::ranges::find(output.names, name) == output.names.end())) {
      expression(item, none);
    }
  }
  expression(body["limitOffset"], none);
  expression(body["limitCount"], none);
  return output;
}

Output QueryWalk::select(Node body, const Level* outer) {
  Level level{.outer = outer};
  from(body["fromClause"], level);
  const Node lists = body["valuesLists"];
  Output output = lists ? values(lists, level) : targets(body["targetList"], level);
  expression(body["whereClause"], level);
  group_by(body["groupClause"], level, output);
  expression(body["havingClause"], level);
  expression(body["windowClause"], level);
  order_by(body["distinctClause"], level, output);
  order_by(body["sortClause"], level, output);
  expression(body["limitOffset"], level);
  expression(body["limitCount"], level);
  return output;
}

Output QueryWalk::values(Node lists, const Level& level) {
  Output output;
  for (const Node list : lists) {
    const std::size_t count = list.body()["items"].size();
    while (output.names.size() < count) {
      output.names.emplace_back(made_.emplace_back(fmt::format("column{}", output.names.size() + 1)));
    }
    expression(list, level);
  }
  return output;
}

Output QueryWalk::targets(Node list, const Level& level) {
  Output output;
  const auto add = [&](const Range& range, bool merged_elsewhere) {
    for (std::size_t at = 0; at < range.size(); ++at) {
      if (!merged_elsewhere || !range.hides(range.column_name(at))) output.names.push_back(range.column_name(at));
    }
    output.open = output.open || range.open;
  };
  for (const Node target : list) {
    const Node value = target.body()["val"];
    const Node fields = value.tag() == "ColumnRef" ? value.body()["fields"] : Node{};
    if (fields && fields.back().tag() == "A_Star") {
      std::string_view qualifier;
      std::size_t at = 0;
      for (const Node part : fields) {
        if (++at + 1 == fields.size()) qualifier = part.body().text("sval");
      }
      if (fields.size() == 1) {
        for (std::size_t i = level.first; i < level.ranges.size(); ++i) {
          if (level.ranges[i].unqualified) add(level.ranges[i], true);
        }
      } else if (const Range* range = find_range(level, qualifier)) {
        add(*range, false);
      } else {
        output.open = true;
      }
    } else if (value.tag() == "A_Indirection" && value.body()["indirection"].back().tag() == "A_Star") {
      output.open = true;
    } else {
      output.names.push_back(result_name(target));
    }
    expression(value, level);
  }
  return output;
}

void QueryWalk::order_by(Node items, const Level& level, const Output& output) {
  for (const Node item : items) {
    // A bare name is the result's before it is a column.
    const std::string_view name = bare_name(item.tag() == "SortBy" ? item.body()["node"] : item);
    const bool of_result = !name.empty() && std::ranges::find(output.names, name) != output.names.end();
    if (!of_result) expression(item, level);
  }
}

void QueryWalk::group_by(Node items, const Level& level, const Output& output) {
  std::vector<Node> left;
  for (const Node item : items) left.push_back(item);
  while (!left.empty()) {
    const Node item = left.back();
    left.pop_back();
    const std::string_view tag = item.tag();
    if (tag == "GroupingSet" || tag == "RowExpr") {
      for (const Node part : item.body()[tag == "RowExpr" ? "args" : "content"]) left.push_back(part);
      continue;
    }
    // Here a bare name is a column before it is the result's.
    const std::string_view name = bare_name(item);
    const bool of_result =
        !name.empty() && !level.has_column(name) && std::ranges::find(output.names, name) != output.names.end();
    if (!of_result) expression(item, level);
  }
}

}  // namespace diastole::sql
