#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "contains.hpp"
#include "diastole/base/json_pointer.hpp"
#include "diastole/base/time.hpp"
#include "diastole/sql/analysis.hpp"
#include "doomed.hpp"
#include "lint.hpp"
#include "recheck.hpp"
#include "text.hpp"
#include "window.hpp"

namespace diastole::sql {
namespace {

using core::Phase;
using core::Plan;
using core::Step;

constexpr Milliseconds kLongEnough{3'600'000};

std::unexpected<Error> at_path(Error error, std::string path) {
  error.path = std::move(path);
  return std::unexpected(std::move(error));
}

// An allow with a reason lets a finding pass, except a structural one; one that lets nothing pass is a mistake worth
// showing.
void apply_allow(Step& step) {
  for (const auto& [rule, reason] : step.allow) {
    bool used = false;
    for (core::Finding& finding : step.findings) {
      if (finding.rule != rule || is_structural(rule)) continue;
      finding.allowed_because = reason;
      used = true;
    }
    if (used) continue;
    const std::string why = is_structural(rule) ? rule + " cannot be allowed" : rule + " finds nothing in this step";
    core::Finding unused = make_finding(kUnusedIgnore, kWarning, {.name = why});
    unused.path = fmt::format("{}/allow/{}", step.path, pointer_token(rule));
    step.findings.push_back(std::move(unused));
  }
}

void add_findings(Step& step, std::vector<core::Finding> findings, std::string_view key) {
  for (core::Finding& finding : findings) {
    finding.path = fmt::format("{}/{}", step.path, key);
    step.findings.push_back(std::move(finding));
  }
}

void complete_undo(Step& step, const PlanMemory& memory) {
  if (step.undo_sql.empty()) return;
  LintedText linted = lint_undo(step.undo_sql, memory.known.catalog());
  add_findings(step, std::move(linted.findings), "undo");
  step.undo = std::move(linted.statements);
}

// What waits for every older transaction should not be cut off by a timeout of the plan's.
void check_timeout(Step& step) {
  if (!step.statement_timeout || step.statement_timeout->count() == 0 || step.statement_timeout >= kLongEnough) return;
  for (const core::Statement& statement : step.statements) {
    if (statement.transactional || statement.index.empty()) continue;
    core::Finding finding = make_finding(
        kConcurrentUnderTimeout, kWarning,
        {.object = statement.index, .kind = statement.kind, .name = format_duration(*step.statement_timeout)});
    finding.path = step.path + "/statement_timeout";
    step.findings.push_back(std::move(finding));
  }
}

void complete_statements(Step& step, const AnalysisOptions& options, PlanMemory& memory) {
  const std::size_t keys = memory.foreign_keys.size();
  LintedText linted = lint_text(step.sql, step.phase, options, memory);
  for (std::size_t i = keys; i < memory.foreign_keys.size(); ++i) memory.foreign_keys[i].path = step.path + "/sql";
  add_findings(step, std::move(linted.findings), "sql");
  step.statements = std::move(linted.statements);
  check_timeout(step);
  complete_undo(step, memory);
}

// The plan's own statement over a window of keys.
Result<void> complete_window(Step& step, const AnalysisOptions& options, PlanMemory& memory) {
  core::Backfill& backfill = *step.backfill;
  auto pieces = cut_window(backfill.sql);
  if (!pieces) return at_path(std::move(pieces.error()), step.path + "/sql");
  backfill.sql_pieces = *std::move(pieces);
  LintedText linted = lint_text(plain_window(backfill.sql_pieces), step.phase, options, memory);
  add_findings(step, std::move(linted.findings), "sql");
  // It is shown as it was written.
  for (core::Statement& statement : linted.statements) statement.sql = backfill.sql;
  step.statements = std::move(linted.statements);
  return {};
}

Result<void> complete_backfill(Step& step, const AnalysisOptions& options, PlanMemory& memory) {
  core::Backfill& backfill = *step.backfill;
  const auto table = split_identifier(backfill.table, 2);
  if (!table) return at_path(table.error(), step.path + "/table");
  backfill.table = fmt::format("{}", fmt::join(*table, "."));
  if (!backfill.sql.empty()) {
    if (auto completed = complete_window(step, options, memory); !completed) return completed;
  } else if (backfill.set.empty()) {
    return fail(ErrorCode::invalid_argument, "at least one column must be set", step.path + "/set");
  }
  for (const auto& [column, expression] : backfill.set) {
    const std::string path = fmt::format("{}/set/{}", step.path, pointer_token(column));
    // The name comes unquoted and exactly: quoted it must be one identifier.
    std::string quoted = "\"";
    for (const char c : column) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    if (auto valid = split_identifier(quoted + "\"", 1); !valid) return at_path(std::move(valid.error()), path);
    if (auto valid = check_expression(expression); !valid) return at_path(std::move(valid.error()), path);
  }
  if (!backfill.where.empty()) {
    if (auto valid = check_expression(backfill.where); !valid)
      return at_path(std::move(valid.error()), step.path + "/where");
  }
  if (backfill.verify == "zero_rows") {
    if (backfill.where.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "zero_rows counts the rows that 'where' still selects, so it needs a 'where'", step.path + "/verify");
    }
  } else if (!backfill.verify.empty()) {
    if (auto valid = check_query(backfill.verify); !valid)
      return at_path(std::move(valid.error()), step.path + "/verify");
  }
  if (!backfill.recheck.query.empty()) {
    if (auto valid = check_query(backfill.recheck.query); !valid)
      return at_path(std::move(valid.error()), step.path + "/recheck");
  }
  for (const auto& [key, query] : {std::pair("hold_while", &backfill.hold_while), {"probe", &backfill.probe}}) {
    if (query->empty()) continue;
    if (auto valid = check_query(*query); !valid)
      return at_path(std::move(valid.error()), fmt::format("{}/{}", step.path, key));
  }
  std::ranges::move(lint_backfill(backfill, step.path, memory.known), std::back_inserter(step.findings));
  std::ranges::move(choose_way(backfill, step.path, memory.known), std::back_inserter(step.findings));
  complete_undo(step, memory);
  return {};
}

// 32-bit FNV-1a: names that people see in \d should be the same for the same column, and short.
std::uint32_t short_hash(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

// SET NOT NULL trusts a valid CHECK and then does not scan (since PostgreSQL 12), so no step holds a strong lock for
// long.
Result<std::vector<Step>> set_not_null_steps(const Step& step, PlanMemory& memory) {
  const std::string path = step.path + "/set_not_null";
  auto parts = split_identifier(step.set_not_null, 3);
  if (!parts) return at_path(std::move(parts.error()), path);
  if (parts->size() < 2)
    return fail(ErrorCode::invalid_argument, "'table.column' or 'schema.table.column' is expected", path);
  if (!step.sql.empty())
    return fail(ErrorCode::invalid_argument, "a step has either 'sql' or 'set_not_null'", step.path + "/sql");
  if (!step.undo_sql.empty())
    return fail(ErrorCode::invalid_argument, "set_not_null brings its own undo", step.path + "/undo");
  const std::string constraint =
      fmt::format("diastole_nn_{:08x}", short_hash(fmt::format("{}", fmt::join(*parts, "."))));
  const std::string column = parts->back();
  parts->pop_back();
  const std::string alter = fmt::format("ALTER TABLE {}", fmt::join(*parts, "."));
  struct Part {
    std::string_view suffix;
    std::string sql;
    std::string undo;
    std::string_view no_undo;
  };
  const Part recipe[] = {
      {"check", fmt::format("{} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", alter, constraint, column),
       fmt::format("{} DROP CONSTRAINT IF EXISTS {}", alter, constraint), ""},
      {"validate", fmt::format("{} VALIDATE CONSTRAINT {}", alter, constraint), "",
       "a validated constraint is no stricter for writers; the step before drops it"},
      {"set-not-null", fmt::format("{} ALTER COLUMN {} SET NOT NULL", alter, column),
       fmt::format("{} ALTER COLUMN {} DROP NOT NULL", alter, column), ""},
      {"drop-check", fmt::format("{} DROP CONSTRAINT {}", alter, constraint), "",
       "NOT NULL says the same; the constraint only spared its scan"},
  };
  std::vector<Step> steps;
  for (const Part& part : recipe) {
    Step one;
    one.id = StepId(fmt::format("{}.{}", step.id.str(), part.suffix));
    one.phase = step.phase;
    one.path = step.path;
    one.sql = part.sql;
    one.undo_sql = part.undo;
    one.no_undo = part.no_undo;
    one.statement_timeout = step.statement_timeout;
    one.statements = lint_text(one.sql, one.phase, {}, memory).statements;
    complete_undo(one, memory);
    steps.push_back(std::move(one));
  }
  steps.front().allow = step.allow;
  return steps;
}

// Old code that writes only the old form makes copied values stale behind the backfill's back, and the drop then loses
// them.
void warn_of_stale_copies(Plan& plan) {
  const auto destroyed = [&](const std::string& table) {
    return std::ranges::any_of(plan.steps, [&](const Step& step) {
      return step.phase == Phase::contract &&
             std::ranges::any_of(step.statements, [&](const core::Statement& statement) {
               return statement.destructive && contains(statement.tables(), table);
             });
    });
  };
  for (Step& step : plan.steps) {
    if (!step.backfill || !step.backfill->needs.empty() || !destroyed(step.backfill->table)) continue;
    core::Finding finding = make_finding(kBackfillWithoutNeeds, kWarning, {.table = step.backfill->table});
    finding.path = step.path;
    step.findings.push_back(std::move(finding));
  }
}

// Only at the end is it known that no step brings the index.
void attach_open_foreign_keys(Plan& plan, const PlanMemory& memory) {
  for (core::Finding& finding : open_foreign_keys(memory)) {
    for (Step& step : plan.steps) {
      if (finding.path != step.path + "/sql") continue;
      step.findings.push_back(std::move(finding));
      break;
    }
  }
}

}  // namespace

Result<Plan> complete(Plan plan, const core::CatalogSnapshot* catalog, const AnalysisOptions& options) {
  std::vector<Step> steps;
  PlanMemory memory(catalog);
  std::optional<Phase> phase;
  for (Step& step : plan.steps) {
    if (phase && phase != step.phase) memory.known.phase_over();
    phase = step.phase;
    if (!step.set_not_null.empty()) {
      auto recipe = set_not_null_steps(step, memory);
      if (!recipe) return std::unexpected(std::move(recipe.error()));
      std::ranges::move(*recipe, std::back_inserter(steps));
      continue;
    }
    if (step.backfill) {
      if (auto completed = complete_backfill(step, options, memory); !completed)
        return std::unexpected(std::move(completed.error()));
    } else {
      complete_statements(step, options, memory);
    }
    steps.push_back(std::move(step));
  }
  plan.steps = std::move(steps);
  warn_of_stale_copies(plan);
  add_rechecks(plan);
  add_doomed(plan);
  attach_open_foreign_keys(plan, memory);
  for (Step& step : plan.steps) apply_allow(step);
  return plan;
}

std::vector<core::Finding> refusals(const Plan& plan) {
  std::vector<core::Finding> refused;
  for (const Step& step : plan.steps) {
    std::ranges::copy_if(step.findings, std::back_inserter(refused), [](const core::Finding& finding) {
      return finding.severity == core::Severity::error && finding.allowed_because.empty();
    });
  }
  return refused;
}

}  // namespace diastole::sql
