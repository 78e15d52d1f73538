// Any bytes through all that the analyser offers: it never crashes, and what it says of a text fits together.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/sql/analysis.hpp"
#include "diastole/sql/column_use.hpp"
#include "lint.hpp"
#include "rules.hpp"
#include "support/catalog.hpp"
#include "text.hpp"

namespace {

using namespace diastole;
using core::Answer;
using core::Finding;
using core::Phase;
using core::Severity;
using core::Statement;

const core::CatalogSnapshot& shop() {
  static const core::CatalogSnapshot catalog = test::shop_catalog();
  return catalog;
}

void must(bool holds, std::string_view what, std::string_view about) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n  %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(about.size()), about.data());
  std::abort();
}

void must_be_refused_well(const Error& error) {
  must(error.code == ErrorCode::invalid_argument, "what cannot be read is an invalid argument", error.message);
  must(sql::check_text(error.message).has_value(), "a message is text", error.message);
}

bool is_rule(std::string_view name) {
  return std::ranges::any_of(sql::all_rules(), [&](const sql::Rule* rule) { return rule->name == name; });
}

// A place is that of a byte, or of the end.
bool is_within(std::string_view text, int line, int column) {
  int lines = 1;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size() && lines < line; ++at) {
    if (text[at] != '\n') continue;
    ++lines;
    begin = at + 1;
  }
  if (lines != line) return false;
  const std::string_view rest = text.substr(begin, text.find('\n', begin) - begin);
  return column >= 1 && column <= sql::place_at(rest, rest.size()).column;
}

void check_finding(const Finding& finding, std::string_view text) {
  must(is_rule(finding.rule), "a finding's rule is one of the rules", finding.rule);
  must(!finding.message.empty(), "a finding says why", finding.rule);
  must(is_within(text, finding.line, finding.column), "a finding is within the text", finding.rule);
  must(sql::check_text(finding.message).has_value(), "a message is text", finding.message);
  for (const core::SafeStep& step : finding.safe_form) {
    must(!step.text.empty() && sql::check_text(step.text).has_value(), "a safe form is text", finding.rule);
  }
}

void check_name(const std::string& name) {
  // PostgreSQL's grammar takes any number of parts in DROP and COMMENT; it is the server that refuses the fourth.
  must(sql::split_identifier(name, name.size()).has_value(), "a relation's name is an identifier", name);
}

void check_statement(const Statement& statement) {
  must(!statement.kind.empty(), "a statement has a kind", statement.sql);
  must(!statement.sql.empty(), "a statement has its text", statement.kind);
  std::set<std::string_view> seen;
  for (const core::Touch& touch : statement.touches) {
    check_name(touch.relation);
    must(seen.insert(touch.relation).second, "a relation is touched once", touch.relation);
    must(touch.lock <= statement.lock, "a statement's lock is its strongest", touch.relation);
  }
  for (const std::string& created : statement.creates) check_name(created);
}

// Where each statement stands, in order.
std::vector<sql::Place> places(const std::vector<Statement>& statements, std::string_view text) {
  std::vector<sql::Place> found;
  std::size_t from = 0;
  for (const Statement& statement : statements) {
    const std::size_t at = text.find(statement.sql, from);
    must(at != std::string_view::npos, "a statement is a part of the text, behind the one before", statement.sql);
    found.push_back(sql::place_at(text, at));
    from = at + statement.sql.size();
  }
  return found;
}

sql::LintedText linted_in(Phase phase, std::string_view text, const core::CatalogSnapshot* catalog) {
  sql::PlanMemory memory(catalog);
  sql::LintedText linted = sql::lint_text(text, phase, {.require_table_schema = true}, memory);
  for (const Finding& finding : linted.findings) check_finding(finding, text);
  for (const Finding& finding : sql::open_foreign_keys(memory)) check_finding(finding, text);
  return linted;
}

bool has_error_at(const sql::LintedText& linted, sql::Place place) {
  return std::ranges::any_of(linted.findings, [&](const Finding& finding) {
    return finding.severity == Severity::error && finding.line == place.line && finding.column == place.column;
  });
}

// Linting and classifying agree, and where a statement belongs agrees with where it is refused.
bool check_analysis(std::string_view text, const core::CatalogSnapshot* catalog) {
  const auto classified = sql::classify(text, catalog);
  const sql::LintedText expand = linted_in(Phase::expand, text, catalog);
  const sql::LintedText backfill = linted_in(Phase::backfill, text, catalog);
  sql::LintedText contract = linted_in(Phase::contract, text, catalog);
  if (!classified) {
    must_be_refused_well(classified.error());
    for (const auto* linted : {&expand, &backfill, &std::as_const(contract)}) {
      const bool said = linted->findings.size() == 1 && linted->findings.front().rule == sql::kSyntaxError.name;
      must(said && linted->statements.empty(), "linting refuses what does not parse", classified.error().message);
    }
    return false;
  }
  must(expand.statements == contract.statements, "a statement is the same in expand and in contract", text);
  const std::vector<sql::Place> at = places(*classified, text);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const Statement& statement = contract.statements[i];
    const bool in_expand = has_error_at(expand, at[i]);
    must(in_expand == (statement.phase != Phase::expand), "what expand refuses does not belong there", statement.sql);
    if (statement.phase == Phase::contract)
      must(!has_error_at(contract, at[i]), "contract lets pass what belongs there", statement.sql);
    check_statement(statement);
  }
  for (Statement& statement : contract.statements) statement.phase.reset();
  must(contract.statements == *classified, "linting classifies", text);
  return true;
}

core::Step step_of(Phase phase) {
  core::Step step;
  step.id = StepId("one");
  step.phase = phase;
  step.path = "/" + std::string(to_string(phase)) + "/0";
  return step;
}

void check_plan(std::string_view text, const core::CatalogSnapshot* catalog, Phase phase) {
  core::Plan plan;
  plan.steps.push_back(step_of(phase));
  plan.steps.front().sql = plan.steps.front().undo_sql = text;
  plan.steps.front().allow = {{std::string(sql::kUnbatchedDml.name), "small"}, {std::string(text), "none"}};
  (void)sql::concerns(plan);
  const auto completed = sql::complete(std::move(plan), catalog);
  must(completed.has_value() && completed->steps.size() == 1, "a step of SQL can be completed", text);
  for (const Finding& finding : completed->steps.front().findings) {
    must(finding.path.starts_with(completed->steps.front().path), "a finding is in its step", finding.path);
    must(!finding.path.ends_with("/undo") || sql::is_structural(finding.rule), "an undo is free", finding.rule);
  }
  (void)sql::refusals(*completed);
}

void check_forms(std::string_view text, const core::CatalogSnapshot* catalog) {
  core::Plan plan;
  plan.steps = {step_of(Phase::expand), step_of(Phase::backfill)};
  const std::string copy(text);
  plan.steps.front().set_not_null = copy;
  plan.steps.back().backfill = core::Backfill{
      .table = copy, .set = {{copy, copy}}, .where = copy, .needs = {}, .verify = copy, .batch_rows = std::nullopt};
  (void)sql::concerns(plan);
  for (const core::Step& step : plan.steps) {
    core::Plan one;
    one.steps.push_back(step);
    const auto completed = sql::complete(std::move(one), catalog);
    if (!completed) must_be_refused_well(completed.error());
  }
  core::Backfill fill{
      .table = "users", .set = {{"age", copy}}, .where = copy, .needs = {}, .verify = {}, .batch_rows = std::nullopt};
  core::Plan filling;
  filling.steps.push_back(step_of(Phase::backfill));
  filling.steps.back().backfill = fill;
  (void)sql::concerns(filling);
  must(sql::complete(std::move(filling), catalog).has_value() == sql::check_expression(text).has_value(),
       "a backfill takes expressions", text);
}

// A fragment stays within its place.
void check_fragments(const std::string& text) {
  const auto alone = [&](const std::string& whole, std::string_view kind) {
    const auto classified = sql::classify(whole);
    must(classified && classified->size() == 1 && classified->front().kind == kind, "a fragment stays in its place",
         whole);
  };
  const bool fits = text.size() + 100 < sql::kMaxSqlBytes;
  if (const auto valid = sql::check_expression(text); !valid) {
    must_be_refused_well(valid.error());
  } else if (fits) {
    alone("UPDATE t SET a = (" + text + ") WHERE (" + text + ")", "UPDATE");
  }
  if (const auto valid = sql::check_query(text); !valid) {
    must_be_refused_well(valid.error());
  } else if (fits) {
    alone("SELECT count(*) FROM (" + text + ") q", "SELECT");
  }
}

void check_identifier(std::string_view text) {
  const auto parts = sql::split_identifier(text, 2);
  if (!parts) return must_be_refused_well(parts.error());
  std::string name;
  for (const std::string& part : *parts) name += (name.empty() ? "" : ".") + part;
  const auto again = sql::split_identifier(name, 2);
  must(again && *again == *parts, "an identifier's parts are identifiers", name);
  const auto altered = sql::classify("ALTER TABLE " + name + " ADD COLUMN a int");
  must(altered && altered->size() == 1 && altered->front().touches.size() == 1 &&
           altered->front().touches.front().relation == name,
       "PostgreSQL reads an identifier as we do", name);
}

void check_use(std::string_view text, bool has_statements) {
  static const sql::UseFinder finder(shop());
  const auto use = finder.find(text);
  if (!use) {
    must_be_refused_well(use.error());
    must(!has_statements, "what can be classified has a use", text);
    return;
  }
  for (const sql::ColumnUse& one : use->columns) {
    if (one.table.name.empty() || one.column.empty()) continue;
    must(finder.uses(*use, one.table, one.column) >= std::max(one.reads, one.writes), "a column's use is a use",
         one.column);
  }
  for (const sql::TableUse& one : use->tables)
    must(finder.uses(*use, one.table) >= one.named, "a table's use is a use", one.table.name);
  (void)finder.uses(*use, {"public", "users"}, "email");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const bool parses = check_analysis(text, nullptr);
  must(check_analysis(text, &shop()) == parses, "what parses does so with any catalog", text);
  check_plan(text, nullptr, core::kPhases[size % 3]);
  check_plan(text, &shop(), core::kPhases[size / 3 % 3]);
  check_forms(text, size % 2 == 0 ? nullptr : &shop());
  check_fragments(text);
  check_identifier(text);
  check_use(text, parses);
  return 0;
}
