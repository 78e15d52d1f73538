#include "recheck.hpp"

#include <fmt/format.h>

#include <set>
#include <string>

#include "diastole/sql/analysis.hpp"
#include "parse.hpp"

namespace diastole::sql {
namespace {

// Whatever their table: that a name means more than it does costs a sharper question, not a wrong answer.
std::set<std::string, std::less<>> columns_gone(const core::Plan& plan) {
  std::set<std::string, std::less<>> gone;
  for (const core::Step& step : plan.steps) {
    if (step.phase != core::Phase::contract) continue;
    const auto tree = parse(step.sql);
    if (!tree) continue;  // a finding refuses the plan
    for (const ParsedStatement& statement : tree->statements) {
      if (statement.tag == "RenameStmt" && statement.body.text("renameType") == "OBJECT_COLUMN")
        gone.emplace(statement.body.text("subname"));
      for (const Node command : statement.body["cmds"]) {
        if (command.body().text("subtype") == "AT_DropColumn") gone.emplace(command.body().text("name"));
      }
    }
  }
  return gone;
}

bool names_any(const std::string& expression, const std::string& table,
               const std::set<std::string, std::less<>>& columns) {
  const auto tree = parse(expression, "SELECT ");
  if (!tree || tree->statements.size() != 1) return true;
  const auto parts = split_identifier(table, 2);
  const std::string whole_row = parts ? parts->back() : table;
  bool names = false;
  visit_objects(tree->statements.front().body, [&](std::string_view key, Node node) {
    if (key != "ColumnRef") return;
    const Node fields = node["fields"];
    const std::string_view last = last_name(fields);
    names |= columns.contains(last) || fields.back().tag() == "A_Star" ||
             (fields.size() == 1 && quote_identifier(last) == whole_row);
  });
  return names;
}

// Rows that `where` selects and whose columns were never set, though there is something to set them to.
std::string never_set(const core::Backfill& backfill) {
  std::string missing;
  for (const auto& [column, expression] : backfill.set) {
    missing += fmt::format("{}({} IS NULL AND ({}\n) IS NOT NULL)", missing.empty() ? "" : " OR ",
                           quote_identifier(column), expression);
  }
  return fmt::format("({}\n) AND ({})", backfill.where, missing);
}

}  // namespace

void add_rechecks(core::Plan& plan) {
  if (!plan.has(core::Phase::contract)) return;
  const auto gone = columns_gone(plan);
  for (core::Step& step : plan.steps) {
    if (!step.backfill || step.backfill->recheck != core::Recheck{}) continue;
    core::Backfill& backfill = *step.backfill;
    if (backfill.verify.empty()) {
      backfill.recheck.none = "the step has no `verify`";
    } else if (backfill.verify != "zero_rows") {
      backfill.recheck.query = backfill.verify;
    } else {
      backfill.recheck.where = names_any(backfill.where, backfill.table, gone) ? never_set(backfill) : backfill.where;
    }
  }
}

}  // namespace diastole::sql
