// Rules on what several statements do in one transaction, which keeps every lock until its end.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "column_def.hpp"
#include "contains.hpp"
#include "definition_text.hpp"
#include "lint.hpp"
#include "rows.hpp"

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
  return statement.parsed.tag == "AlterTableStmt" ? statement.table : std::string{};
}

// VALIDATE scans under SHARE UPDATE EXCLUSIVE, unless its transaction already holds more.
void lint_validate(const Lint& lint, const Before& before) {
  const std::string table = altered(lint.statement);
  if (table.empty() || lint.idle(table)) return;
  each_subcommand(lint.statement, "AT_ValidateConstraint", [&](Node command) {
    const auto lock = before.locks.find(table_key(table));
    const bool held = lock != before.locks.end() && lock->second > LockMode::share_update_exclusive;
    if (!held && lint.statement.statement.lock <= LockMode::share_update_exclusive) return;
    const std::string name = quote_identifier(command.text("name"));
    lint.reporter.report(kValidateTogether,
                         {.table = table,
                          .object = name,
                          .statement = fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, name)});
  });
}

void lint_not_null(const Lint& lint, const Before& before) {
  const std::string table = altered(lint.statement);
  if (table.empty() || lint.idle(table)) return;
  each_subcommand(lint.statement, "AT_SetNotNull", [&](Node command) {
    const std::string_view column = command.text("name");
    if (before.updated.contains({std::string(table_key(table)), std::string(column)}))
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

void lint_foreign_keys(const Lint& lint, const Before& before) {
  std::set<std::string> more;
  std::string last;
  for (std::string& table : references(lint.statement)) {
    if (lint.idle(table) || before.referenced.contains(table)) continue;
    if (more.insert(table).second) last = std::move(table);
  }
  if (more.empty() || before.referenced.size() + more.size() < 2) return;
  // Alone in its step it would still have all of its own.
  const std::string statement(more.size() == 1 ? lint.text() : std::string_view{});
  lint.reporter.report(kMultipleForeignKeys, {.name = last, .statement = statement});
}

// The second changes or drops what the first adds. One ALTER TABLE would do that before it adds, and so fail.
bool builds_on(const Analysed& first, const Analysed& second) {
  std::set<std::string_view> made;
  for (const Node node : first.parsed.body["cmds"]) {
    const Node definition = node.body()["def"].body();
    made.insert(definition.text("colname"));
    made.insert(definition.text("conname"));
  }
  made.erase("");
  return std::ranges::any_of(second.parsed.body["cmds"],
                             [&](Node node) { return made.contains(node.body().text("name")); });
}

// Two that stand one behind the other, with equal locks: what takes a weaker one may well stand alone.
void lint_mergeable(const Lint& lint, const Analysed& last) {
  const std::string table = altered(lint.statement);
  if (table.empty() || table != altered(last) || lint.known().is_empty(table)) return;
  if (lint.statement.statement.lock != last.statement.lock || !lint.statement.statement.transactional) return;
  const std::string_view type = lint.body().text("objtype");
  if (type != "OBJECT_TABLE" || last.parsed.body.text("objtype") != type) return;
  constexpr auto kAlone = std::to_array<std::string_view>({"AT_AttachPartition", "AT_DetachPartition"});
  const auto alone = [&](Node node) { return contains(kAlone, node.body().text("subtype")); };
  if (std::ranges::any_of(lint.body()["cmds"], alone) || std::ranges::any_of(last.parsed.body["cmds"], alone)) return;
  const Node relation = lint.body()["relation"];
  const bool same_reach = relation.flag("inh") == last.parsed.body["relation"].flag("inh");  // with or without ONLY
  if (!same_reach || builds_on(last, lint.statement)) return;
  const std::string more = text_behind_name(lint.statement.parsed, relation);
  lint.reporter.report(kMultipleAlter, {.table = table, .statement = fmt::format("{}, {}", last.parsed.text, more)});
}

bool may_take_long(const Lint& lint) {
  const bool writes = writes_rows(lint.statement.parsed.tag);
  return std::ranges::any_of(lint.statement.statement.touches, [&](const core::Touch& touch) {
    if (touch.kind == core::Touch::Kind::table && lint.idle(touch.relation)) return false;
    return std::max(touch.scans, touch.rewrites) == Answer::yes || (writes && touch.scans == Answer::maybe);
  });
}

void lint_after_strongest(const Lint& lint, const Before& before) {
  if (before.exclusive.empty() || !may_take_long(lint)) return;
  lint.reporter.report(
      kAfterAccessExclusive,
      {.table = before.exclusive, .kind = lint.statement.statement.kind, .statement = std::string(lint.text())});
}

// Which of the values that enums have just got a statement uses. yes: in a cast to the enum, as the default of a column
// of it, or as the value of one; maybe: elsewhere, where it may be another text.
class ValueUses {
 public:
  ValueUses(const Lint& lint, const Before& before) : before_(before) {
    const std::string table = relation_name(lint.body()["relation"]);
    const auto column_type = [&](Node named) {
      return name_of_identifier(lint.known().column_type(table, named.text("name"))).name;
    };
    visit_objects(lint.body(), [&](std::string_view key, Node node) {
      if (key == "A_Const") add(node, {});
      if (key == "TypeCast") add(node["arg"].body(), last_name(node["typeName"]["names"]));
      if (key == "ResTarget" && node["name"]) add(node["val"].body(), column_type(node));
      if (key == "AlterTableCmd" && node["def"].tag() == "A_Const") add(node["def"].body(), column_type(node));
      if (key != "ColumnDef") return;
      for (const Node constraint : node["constraints"])
        add(constraint.body()["raw_expr"].body(), last_name(node["typeName"]["names"]));
    });
  }

  [[nodiscard]] const std::map<std::pair<std::string_view, std::string_view>, Answer>& found() const { return found_; }

 private:
  // A value of that type, where it is known. Types are compared without their schemas.
  void add(Node constant, std::string_view type) {
    const std::string_view text = constant["sval"].text("sval");
    if (text.empty()) return;
    const auto [begin, end] = before_.values.equal_range(text);
    for (auto at = begin; at != end; ++at) {
      if (!type.empty() && name_of_identifier(at->second).name != type) continue;
      Answer& known = found_[{at->first, at->second}];
      known = std::max(known, type.empty() ? Answer::maybe : Answer::yes);
    }
  }

  const Before& before_;
  std::map<std::pair<std::string_view, std::string_view>, Answer> found_;  // by value and enum
};

void lint_new_values(const Lint& lint, const Before& before) {
  if (before.values.empty()) return;
  const ValueUses uses(lint, before);
  for (const auto& [value, answer] : uses.found()) {
    const std::string type(value.second);
    const auto severity = answer == Answer::yes ? kError : kWarning;
    core::Finding* found = lint.reporter.report(
        kEnumValueTogether,
        {.object = type, .name = fmt::format("'{}'", value.first), .statement = lint.reporter.shown(lint.text())},
        severity, severity);
    if (found != nullptr && answer == Answer::maybe && lint.known().catalog() == nullptr)
      found->sharper_with = fmt::format("the columns of type {}", type);
  }
}

}  // namespace

void Before::take_in(const Lint& lint) {
  last = &lint.statement;
  for (const core::Touch& touch : last->statement.touches) {
    LockMode& lock = locks[std::string(table_key(touch.relation))];
    lock = std::max(lock, touch.lock);
    const bool strongest = touch.lock == LockMode::access_exclusive && touch.kind == core::Touch::Kind::table;
    if (strongest && exclusive.empty()) exclusive = touch.relation;
  }
  if (last->parsed.tag == "UpdateStmt") {
    const std::string table = relation_name(lint.body()["relation"]);
    for (const Node target : lint.body()["targetList"]) updated.emplace(table_key(table), target.body().text("name"));
  }
  const Node type = lint.body()["typeName"];
  constexpr int kTrustsNewEnums = 170'000;  // where the type is as new as its value
  const bool trusts = lint.known().server_version() >= kTrustsNewEnums;
  if (last->parsed.tag == "CreateEnumStmt" && trusts) enums.insert(dotted_name(type));
  const bool adds = last->parsed.tag == "AlterEnumStmt" && lint.body().text("oldVal").empty();
  if (adds && !enums.contains(dotted_name(type))) values.emplace(lint.body().text("newVal"), dotted_name(type));
  for (std::string& table : references(*last)) {
    if (!lint.idle(table)) referenced.insert(std::move(table));
  }
}

void lint_together(const Lint& lint, const Before& before) {
  lint_validate(lint, before);
  lint_foreign_keys(lint, before);
  if (before.last == nullptr) return;
  lint_not_null(lint, before);
  lint_new_values(lint, before);
  lint_mergeable(lint, *before.last);
  lint_after_strongest(lint, before);
}

}  // namespace diastole::sql
