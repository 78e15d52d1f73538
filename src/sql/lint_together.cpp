// Rules on what several statements do in one transaction, which keeps every lock until its end.
#include <fmt/format.h>

#include <algorithm>

#include "column_def.hpp"
#include "contains.hpp"
#include "lint.hpp"

namespace diastole::sql {
namespace {

using core::Answer;
using core::LockMode;

// The subcommands of an ALTER TABLE that are of one type.
template <typename Visitor>
void each_subcommand(const Analysed& statement, std::string_view subtype, Visitor&& visitor) {
  if (statement.parsed.tag != "AlterTableStmt") return;
  for (const Node node : statement.parsed.body["cmds"]) {
    if (node.body().text("subtype") == subtype) visitor(node.body());
  }
}

std::string altered(const Analysed& statement) {
  return statement.parsed.tag == "AlterTableStmt" ? relation_name(statement.parsed.body["relation"]) : std::string{};
}

LockMode lock_on(const Analysed& statement, std::string_view table) {
  for (const core::Touch& touch : statement.statement.touches) {
    if (table_key(touch.relation) == table_key(table)) return touch.lock;
  }
  return LockMode::none;
}

// VALIDATE scans under SHARE UPDATE EXCLUSIVE, unless its transaction already holds more.
void lint_validate(const Lint& lint, const std::vector<Analysed>& before) {
  const std::string table = altered(lint.statement);
  if (table.empty() || lint.idle(table)) return;
  each_subcommand(lint.statement, "AT_ValidateConstraint", [&](Node command) {
    const bool held = std::ranges::any_of(
        before, [&](const Analysed& one) { return lock_on(one, table) > LockMode::share_update_exclusive; });
    if (!held && lint.statement.statement.lock <= LockMode::share_update_exclusive) return;
    const std::string name = quote_identifier(command.text("name"));
    lint.reporter.report(kValidateTogether,
                         {.table = table,
                          .object = name,
                          .statement = fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, name)});
  });
}

bool updates(const Analysed& statement, std::string_view table, std::string_view column) {
  if (statement.parsed.tag != "UpdateStmt") return false;
  const Node body = statement.parsed.body;
  if (table_key(relation_name(body["relation"])) != table_key(table)) return false;
  return std::ranges::any_of(body["targetList"], [&](Node target) { return target.body().text("name") == column; });
}

void lint_not_null(const Lint& lint, const std::vector<Analysed>& before) {
  const std::string table = altered(lint.statement);
  if (table.empty() || lint.idle(table)) return;
  each_subcommand(lint.statement, "AT_SetNotNull", [&](Node command) {
    const std::string_view column = command.text("name");
    if (std::ranges::any_of(before, [&](const Analysed& one) { return updates(one, table, column); }))
      lint.reporter.report(kNotNullAfterUpdate, {.table = table, .column = quote_identifier(column)});
  });
}

std::vector<std::string> references(const Analysed& statement) {
  std::vector<std::string> tables;
  const bool defines = statement.parsed.tag == "AlterTableStmt" || statement.parsed.tag == "CreateStmt";
  if (!defines) return tables;
  each_foreign_key(statement.parsed.body, [&](Node key) { tables.push_back(relation_name(key["pktable"])); });
  return tables;
}

void lint_foreign_keys(const Lint& lint, const std::vector<Analysed>& before) {
  std::vector<std::string> locked;
  const auto add = [&](const Analysed& one) {
    bool more = false;
    for (std::string& table : references(one)) {
      if (lint.idle(table) || contains(locked, table)) continue;
      locked.push_back(std::move(table));
      more = true;
    }
    return more;
  };
  for (const Analysed& one : before) add(one);
  const std::size_t held = locked.size();
  if (!add(lint.statement) || (held == 0 && locked.size() < 2)) return;
  lint.reporter.report(kMultipleForeignKeys,
                       {.name = fmt::format("{}", locked.back()), .statement = std::string(lint.text())});
}

// Two that stand one behind the other, with equal locks: what takes a weaker one may well stand alone.
void lint_mergeable(const Lint& lint, const Analysed& last) {
  const std::string table = altered(lint.statement);
  if (table.empty() || table != altered(last) || lint.known().is_new(table)) return;
  if (lint.statement.statement.lock != last.statement.lock || !lint.statement.statement.transactional) return;
  const std::string_view type = lint.body().text("objtype");
  if (type != "OBJECT_TABLE" || last.parsed.body.text("objtype") != type) return;
  constexpr auto kAlone = std::to_array<std::string_view>({"AT_AttachPartition", "AT_DetachPartition"});
  const auto alone = [&](Node node) { return contains(kAlone, node.body().text("subtype")); };
  if (std::ranges::any_of(lint.body()["cmds"], alone) || std::ranges::any_of(last.parsed.body["cmds"], alone)) return;
  const std::string_view text = lint.text();
  const std::size_t name = text.find(table);
  lint.reporter.report(kMultipleAlter, {.table = table,
                                        .statement = name == std::string_view::npos
                                                         ? std::string{}
                                                         : fmt::format("{}, {}", last.parsed.text,
                                                                       trim(text.substr(name + table.size())))});
}

bool may_take_long(const Lint& lint) {
  constexpr auto kWriting = std::to_array<std::string_view>({"UpdateStmt", "DeleteStmt", "MergeStmt", "InsertStmt"});
  const bool writes = contains(kWriting, lint.statement.parsed.tag);
  return std::ranges::any_of(lint.statement.statement.touches, [&](const core::Touch& touch) {
    if (touch.kind == core::Touch::Kind::table && lint.idle(touch.relation)) return false;
    return std::max(touch.scans, touch.rewrites) == Answer::yes || (writes && touch.scans == Answer::maybe);
  });
}

void lint_after_strongest(const Lint& lint, const std::vector<Analysed>& before) {
  if (!may_take_long(lint)) return;
  for (const Analysed& one : before) {
    for (const core::Touch& touch : one.statement.touches) {
      if (touch.lock != LockMode::access_exclusive || touch.kind != core::Touch::Kind::table) continue;
      lint.reporter.report(
          kAfterAccessExclusive,
          {.table = touch.relation, .kind = lint.statement.statement.kind, .statement = std::string(lint.text())});
      return;
    }
  }
}

}  // namespace

void lint_together(const Lint& lint, const std::vector<Analysed>& before) {
  lint_validate(lint, before);
  lint_foreign_keys(lint, before);
  if (before.empty()) return;
  lint_not_null(lint, before);
  lint_mergeable(lint, before.back());
  lint_after_strongest(lint, before);
}

}  // namespace diastole::sql
