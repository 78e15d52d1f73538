// Rules on statements that write rows.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "contains.hpp"
#include "lint.hpp"
#include "rows.hpp"
#include "safe_form.hpp"
#include "source_rows.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

// What stands behind a keyword of the statement itself, up to the next such keyword: outside parentheses and quotes.
class Clauses {
 public:
  explicit Clauses(std::string_view text) : text_(text) {
    visit_outside(text, 0, [&](std::size_t i) {
      if (i == 0 || text[i - 1] != '.') keyword_at(i);
      return true;
    });
  }

  [[nodiscard]] std::string_view behind(std::string_view keyword) const {
    const auto found = std::ranges::find(places_, keyword, &std::pair<std::string_view, std::size_t>::first);
    if (found == places_.end()) return {};
    const std::size_t begin = found->second + keyword.size();
    const std::size_t end = found + 1 == places_.end() ? text_.size() : (found + 1)->second;
    return trim(text_.substr(begin, end - begin));
  }

 private:
  void keyword_at(std::size_t at) {
    const bool distinct = std::exchange(distinct_, is_keyword(text_, at, "DISTINCT"));
    if (distinct) return;  // IS DISTINCT FROM
    for (const std::string_view keyword : {"SET", "FROM", "USING", "WHERE", "RETURNING"}) {
      if (is_keyword(text_, at, keyword)) places_.emplace_back(keyword, at);
    }
  }

  std::string_view text_;
  bool distinct_ = false;  // the token before
  std::vector<std::pair<std::string_view, std::size_t>> places_;
};

// A column's name as `set` has it: unquoted, in the letters that PostgreSQL would read.
std::string exact_name(std::string_view column) {
  const auto parts = split_identifier(column, 1);
  return parts ? name_of_identifier(parts->front()).name : std::string(column);
}

// "a = 1, b = f(x, y)" as a mapping; empty where it is not so simple.
std::string set_mapping(std::string_view clause) {
  std::string mapping;
  for (std::size_t begin = 0; begin < clause.size();) {
    const std::size_t end = visit_outside(clause, begin, [&](std::size_t i) { return clause[i] != ','; });
    const std::string_view one = clause.substr(begin, end - begin);
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || one.substr(0, equals).find_first_of("([") != std::string_view::npos)
      return {};
    mapping +=
        fmt::format("{}{}: {}", mapping.empty() ? "" : ", ", yaml_scalar(exact_name(trim(one.substr(0, equals)))),
                    yaml_scalar(without_comments(one.substr(equals + 1))));
    begin = end + 1;
  }
  return mapping;
}

// Set again, the row would change again: age = age + 1.
bool reads_what_it_sets(Node update) {
  std::set<std::string_view> set;
  for (const Node target : update["targetList"]) set.insert(target.body().text("name"));
  bool reads = false;
  for (const Node target : update["targetList"]) {
    visit_objects(target.body()["val"], [&](std::string_view key, Node node) {
      if (key == "ColumnRef") reads |= set.contains(last_name(node["fields"]));
    });
  }
  return reads;
}

// An UPDATE as a backfill, which sets columns and never deletes.
std::string as_backfill(const Lint& lint, bool top, std::string_view tag, Node body, const std::string& table) {
  if (tag != "UpdateStmt") return {};
  const Clauses clauses(top ? lint.text() : std::string_view{});
  const std::string_view where = clauses.behind("WHERE");
  const bool plain = clauses.behind("FROM").empty() && !body["relation"]["alias"];
  const std::string set = plain ? set_mapping(clauses.behind("SET")) : std::string{};
  const bool whole = plain && !where.empty() && !reads_what_it_sets(body);
  return fmt::format("table: {}\nset: {{ {} }}\nwhere: {}", yaml_scalar(table),
                     set.empty() ? "<column>: <expression>" : set,
                     whole ? yaml_scalar(without_comments(where)) : "<a condition that is false once the row is done>");
}

void lint_insert(const Lint& lint, Node body) {
  const LargeSources sources = large_sources(lint, body["selectStmt"].body());
  if (sources.names.empty()) return;
  const auto severity = sources.sure ? kError : kWarning;
  const std::string names = fmt::format("{}", fmt::join(sources.names, ", "));
  core::Finding* found = lint.reporter.report(kAffectedRows, {.table = relation_name(body["relation"]), .name = names},
                                              severity, severity);
  lint.reporter.belongs_in_backfill();
  if (found != nullptr && !sources.sure) found->sharper_with = fmt::format("the size of {}", names);
}

void lint_assigned_twice(const Lint& lint, std::string_view tag, Node body) {
  std::set<std::string_view> seen;
  for (const Node target : body[tag == "InsertStmt" ? "cols" : "targetList"]) {
    const Node one = target.body();
    if (one["indirection"] || seen.insert(one.text("name")).second) continue;
    lint.reporter.report(kAssignedTwice, {.table = relation_name(body["relation"]),
                                          .column = quote_identifier(one.text("name")),
                                          .kind = tag == "InsertStmt" ? "INSERT" : "UPDATE"});
  }
}

void lint_rows(const Lint& lint, std::string_view tag, Node body, bool top) {
  const bool update = tag == "UpdateStmt";
  if (update || tag == "InsertStmt") lint_assigned_twice(lint, tag, body);
  if (lint.reporter.phase() == kBackfill) return;
  if (tag == "InsertStmt") return lint_insert(lint, body);
  if (!update && tag != "DeleteStmt" && tag != "MergeStmt") return;
  const std::string table = relation_name(body["relation"]);
  const Node where = body["whereClause"];
  const bool joined = body["fromClause"] || body["usingClause"];
  // Through a view others' rows are written; what CREATE TABLE AS has made nobody uses yet.
  const bool idle = lint.idle(table) && !lint.known().is_made_view(table);
  if (idle || names_rows(where, body["relation"], joined, lint.known())) return;
  const bool everything = !where && tag != "MergeStmt";
  core::Finding* found = lint.reporter.report(everything ? kDmlWithoutWhere : kUnbatchedDml,
                                              {.table = table,
                                               .kind = update                ? "UPDATE"
                                                       : tag == "DeleteStmt" ? "DELETE"
                                                                             : "MERGE",
                                               .statement = as_backfill(lint, top, tag, body, table)});
  lint.reporter.belongs_in_backfill();
  if (found != nullptr && lint.known().catalog() == nullptr) found->sharper_with = fmt::format("the size of {}", table);
}

struct Locked {
  Node relation;
  bool joined;  // with another, which may leave out rows
};
std::vector<Locked> locked_by(Node select) {
  std::vector<Locked> tables;
  std::vector<Locked> open;
  for (const Node item : select["fromClause"]) open.push_back({item, select["fromClause"].size() > 1});
  while (!open.empty()) {
    const auto [item, joined] = open.back();
    open.pop_back();
    if (item.tag() == "RangeVar") tables.push_back({item.body(), joined});
    if (item.tag() != "JoinExpr") continue;
    open.push_back({item.body()["rarg"], true});
    open.push_back({item.body()["larg"], true});
  }
  return tables;
}

bool names_locked(Node clause, Node relation) {
  const Node names = clause["lockedRels"];
  const std::string_view alias = relation["alias"].text("aliasname");
  const std::string_view wanted = alias.empty() ? relation.text("relname") : alias;
  return names.empty() || std::ranges::any_of(names, [&](Node name) { return name.body().text("relname") == wanted; });
}

std::string_view strength_of(Node clause) {
  const std::string_view strength = clause.text("strength");
  if (strength == "LCS_FORUPDATE") return "SELECT FOR UPDATE";
  if (strength == "LCS_FORNOKEYUPDATE") return "SELECT FOR NO KEY UPDATE";
  return strength == "LCS_FORSHARE" ? "SELECT FOR SHARE" : "SELECT FOR KEY SHARE";
}

// A SELECT that locks all that there is. What a subquery selects, or a WITH query, is its own matter.
void lint_row_locks(const Lint& lint, Node select, const std::set<std::string_view>& with_names) {
  if (select["whereClause"] || select["limitCount"]) return;
  const std::vector<Locked> tables = locked_by(select);
  for (const Node node : select["lockingClause"]) {
    for (const auto& [relation, joined] : tables) {
      const std::string table = relation_name(relation);
      const bool with = !relation["schemaname"] && with_names.contains(relation.text("relname"));
      if (with || lint.idle(table) || !names_locked(node.body(), relation)) continue;
      const auto severity = joined ? kWarning : kError;
      core::Finding* found = lint.reporter.report(
          kRowLocks, {.table = table, .kind = std::string(strength_of(node.body()))}, severity, severity);
      if (found != nullptr && lint.known().relation(relation) == nullptr)
        found->sharper_with = fmt::format("the size of {}", table);
    }
  }
}

void lint_row_locks(const Lint& lint) {
  if (lint.reporter.phase() == kBackfill) return;
  std::set<std::string_view> with_names;
  std::vector<Node> selects;
  visit_objects(lint.body(), [&](std::string_view key, Node node) {
    if (key == "CommonTableExpr") with_names.insert(node.text("ctename"));
    if (node["lockingClause"]) selects.push_back(node);
  });
  for (const Node select : selects) lint_row_locks(lint, select, with_names);
}

}  // namespace

void lint_query(const Lint& lint) {
  lint_rows(lint, lint.statement.parsed.tag, lint.body(), true);
  bool locks = false;
  visit_objects(lint.body(), [&](std::string_view key, Node node) {
    lint_rows(lint, key, node, false);
    locks |= key == "LockingClause";
  });
  if (locks) lint_row_locks(lint);
}

}  // namespace diastole::sql
