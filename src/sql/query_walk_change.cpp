// Statements that write.
#include <algorithm>

#include "query_walk.hpp"

namespace diastole::sql {

using core::Answer;

Range QueryWalk::target_range(Node range_var, bool reads) {
  Range range = base_range(range_var);
  record_.rows(range.table, Access::write);
  if (reads) record_.rows(range.table, Access::read);
  return range;
}

void QueryWalk::write_column(const Range& target, Node target_node, const Level& level) {
  const std::string_view name = target_node.text("name");
  const Node parts = target_node["indirection"];
  const Range::Spot spot = target.look(name);
  if (spot.has == Answer::no) unresolved(name);
  use_column(record_, target, spot, name, Access::write, Answer::yes);
  if (parts.empty()) return;
  // A part is written into what is there.
  use_column(record_, target, spot, name, Access::read, Answer::yes);
  const core::CatalogRelation* row = row_type_of(record_, target, spot);
  bool deeper = false;
  for (const Node part : parts) {
    if (part.tag() != "String") {
      expression(part, level);
      continue;
    }
    const std::string_view part_name = part.body().text("sval");
    if (row != nullptr) field(*row, part_name);
    if (deeper) record_.somewhere(part_name);
    row = nullptr;
    deeper = true;
  }
}

void QueryWalk::assign(const Range& target, Node targets, const Level& level) {
  for (const Node item : targets) {
    write_column(target, item.body(), level);
    const Node value = item.body()["val"];
    if (value.tag() != "MultiAssignRef") {
      expression(value, level);
    } else if (value.body().number("colno") == 1) {  // SET (a, b) = source: each column holds the source again
      expression(value.body()["source"], level);
    }
  }
}

void QueryWalk::first_columns(const Range& target, std::size_t count) {
  const std::size_t known = std::min(count, target.size());
  for (std::size_t at = 0; at < known; ++at) {
    use_column(record_, target, {.has = Answer::yes, .at = at}, target.column_name(at), Access::write, Answer::yes);
  }
  if (!target.open) return;
  for (const TableId table : target.open_tables) record_.every_column(table, Access::write, Answer::maybe);
}

void QueryWalk::insert_columns(const Range& target, Node columns, const Level& level) {
  for (const Node column : columns) write_column(target, column.body(), level);
}

Output QueryWalk::insert(Node body, const Level* outer) {
  const Node source = body["selectStmt"];
  Output given{.open = false};
  if (source) given = query(source.tag(), source.body(), outer);
  Level level{.outer = outer};
  level.ranges.push_back(target_range(body["relation"], false));
  if (const Node columns = body["cols"]) {
    insert_columns(level.ranges[0], columns, level);
  } else if (given.open) {
    use_row(record_, level.ranges[0], Access::write);
  } else {
    first_columns(level.ranges[0], given.names.size());
  }
  if (const Node clause = body["onConflictClause"]) on_conflict(clause, level);
  return targets(body["returningList"], level);
}

// The index falls with any of its columns, and the statement with it.
void QueryWalk::arbiter(const Range& target, const core::CatalogIndex& index) {
  for (const std::string& column : index.uses) {
    use_column(record_, target, target.look(column), column, Access::read, Answer::maybe);
  }
}

void QueryWalk::infer(Node clause, const Level& level) {
  const Range& target = level.ranges[0];
  const core::CatalogRelation* table = record_.relation(target.table);
  std::vector<std::string_view> keys;  // empty where it is an expression
  for (const Node element : clause["indexElems"]) {
    keys.push_back(element.body().text("name"));
    if (!keys.back().empty()) plain_name(keys.back(), level);
    expression(element.body()["expr"], level);
  }
  expression(clause["whereClause"], level);
  const std::string_view constraint = clause.text("conname");
  if (constraint.empty()) {
    if (table == nullptr) return;
    for (const core::CatalogIndex& index : table->indexes) {
      const bool fits = std::ranges::all_of(
          index.columns, [&](const std::string& key) { return std::ranges::find(keys, key) != keys.end(); });
      if (index.unique && fits) arbiter(target, index);
    }
    return;
  }
  const auto* known = table == nullptr ? nullptr : table->constraint(constraint);
  if (known == nullptr) {
    record_.every_column(target.table, Access::read, Answer::maybe);
    record_.unsure("the columns of the constraint " + std::string(constraint) + " are not known");
    return;
  }
  for (const std::string& column : known->columns) {
    use_column(record_, target, target.look(column), column, Access::read, Answer::yes);
  }
  if (const auto* index = table->index(known->index)) arbiter(target, *index);
}

void QueryWalk::on_conflict(Node clause, Level& level) {
  if (const Node target = clause["infer"]) infer(target, level);
  if (clause.text("action") != "ONCONFLICT_UPDATE") return;
  record_.rows(level.ranges[0].table, Access::read);
  Range excluded = level.ranges[0];
  excluded.name = "excluded";
  excluded.schema = {};
  excluded.any_schema = false;
  excluded.unqualified = false;
  level.ranges.push_back(excluded);
  assign(level.ranges[0], clause["targetList"], level);
  expression(clause["whereClause"], level);
  level.ranges.pop_back();
}

Output QueryWalk::update(Node body, const Level* outer) {
  Level level{.outer = outer};
  level.ranges.push_back(target_range(body["relation"], true));
  from(body["fromClause"], level);
  const Range target = level.ranges[0];
  assign(target, body["targetList"], level);
  expression(body["whereClause"], level);
  return targets(body["returningList"], level);
}

Output QueryWalk::remove(Node body, const Level* outer) {
  Level level{.outer = outer};
  level.ranges.push_back(target_range(body["relation"], true));
  from(body["usingClause"], level);
  expression(body["whereClause"], level);
  return targets(body["returningList"], level);
}

Output QueryWalk::merge(Node body, const Level* outer) {
  Level level{.outer = outer};
  level.ranges.push_back(target_range(body["relation"], true));
  from_item(body["sourceRelation"], level);
  expression(body["joinCondition"], level);
  for (const Node clause : body["mergeWhenClauses"]) merge_when(clause.body(), level);
  return {};
}

void QueryWalk::merge_when(Node clause, Level& level) {
  // Where nothing matched, there is no row of the target to look at.
  level.first = clause.flag("matched") ? 0 : 1;
  expression(clause["condition"], level);
  const Range target = level.ranges[0];
  const Node values_list = clause["values"];
  if (clause.text("commandType") == "CMD_INSERT") {
    if (clause["targetList"].empty()) first_columns(target, values_list.size());
    insert_columns(target, clause["targetList"], level);
    expression(values_list, level);
  } else {
    assign(target, clause["targetList"], level);
  }
  level.first = 0;
}

}  // namespace diastole::sql
