#include "doomed.hpp"

#include <algorithm>
#include <string>

#include "parse.hpp"

namespace diastole::sql {
namespace {

void add(core::Plan& plan, const core::Step& step, std::string table, std::string column) {
  const auto made = std::ranges::any_of(plan.steps, [&](const core::Step& earlier) {
    return std::ranges::any_of(earlier.statements, [&](const core::Statement& statement) {
      return std::ranges::find(statement.creates, table) != statement.creates.end();
    });
  });
  core::Doomed doomed{.step = step.id, .table = std::move(table), .column = std::move(column)};
  const auto known = [&](const core::Doomed& other) {
    return other.table == doomed.table && other.column == doomed.column;
  };
  if (!made && std::ranges::none_of(plan.doomed, known)) plan.doomed.push_back(std::move(doomed));
}

void add_statement(core::Plan& plan, const core::Step& step, const ParsedStatement& statement) {
  if (statement.tag == "AlterTableStmt" && statement.body.text("objtype") == "OBJECT_TABLE") {
    for (const Node command : statement.body["cmds"]) {
      if (command.body().text("subtype") == "AT_DropColumn")
        add(plan, step, relation_name(statement.body["relation"]), std::string(command.body().text("name")));
    }
  }
  if (statement.tag == "DropStmt" && statement.body.text("removeType") == "OBJECT_TABLE") {
    for (const Node object : statement.body["objects"]) add(plan, step, dotted_name(object.body()["items"]), {});
  }
}

}  // namespace

void add_doomed(core::Plan& plan) {
  plan.doomed.clear();
  for (const core::Step& step : plan.steps) {
    if (step.phase != core::Phase::contract || step.sql.empty()) continue;
    const auto tree = parse(step.sql);
    if (!tree) continue;  // a finding refuses the plan
    for (const ParsedStatement& statement : tree->statements) add_statement(plan, step, statement);
  }
}

}  // namespace diastole::sql
