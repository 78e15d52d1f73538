#include "diastole/core/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<OnError, 2> kOnErrorNames{{{OnError::stop, "stop"}, {OnError::skip, "skip"}}};

Result<void> validate_fleet(const Plan& plan) {
  if (plan.has(Phase::contract) && plan.gate.fleet.empty()) {
    return fail(
        ErrorCode::invalid_argument,
        "a plan with a contract phase must declare every service that uses the database; without one the gate could "
        "never tell that the old code is gone",
        "/fleet");
  }
  std::set<ServiceName> services;
  for (std::size_t i = 0; i < plan.gate.fleet.size(); ++i) {
    const auto& requirement = plan.gate.fleet[i];
    if (!services.insert(requirement.service).second) {
      return fail(ErrorCode::invalid_argument, fmt::format("service '{}' is declared twice", requirement.service.str()),
                  fmt::format("/fleet/{}/service", i));
    }
    if (requirement.min_instances == 0 && requirement.reason.empty()) {
      return fail(ErrorCode::invalid_argument, "min_instances: 0 lets an empty fleet pass and needs a written 'reason'",
                  fmt::format("/fleet/{}/min_instances", i));
    }
  }
  for (const auto& step : plan.steps) {
    if (!step.backfill) continue;
    for (const auto& need : step.backfill->needs) {
      if (!services.contains(need.service)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("service '{}' is not declared in fleet; declare it there", need.service.str()),
                    fmt::format("{}/needs/{}", step.path, need.service.str()));
      }
    }
  }
  return {};
}

// Statements outside a transaction cannot be taken back with others, so such a step holds exactly one.
Result<void> validate_statements(const std::vector<Statement>& statements, const std::string& path) {
  const bool mixed = statements.size() > 1 && std::ranges::any_of(statements, [](const Statement& statement) {
                       return !statement.transactional;
                     });
  if (!mixed) return {};
  return fail(ErrorCode::invalid_argument,
              "a statement that cannot run in a transaction must be alone in its step; give each a step of its own",
              path);
}

}  // namespace

std::string_view to_string(OnError on_error) {
  return name_of(kOnErrorNames, on_error);
}
std::optional<OnError> on_error_from(std::string_view text) {
  return value_of(kOnErrorNames, text);
}

bool Step::transactional() const {
  return std::ranges::all_of(statements, &Statement::transactional);
}
bool Step::destructive() const {
  return std::ranges::any_of(statements, &Statement::destructive);
}
LockMode Step::lock() const {
  LockMode strongest = backfill ? LockMode::row_exclusive : LockMode::none;
  for (const auto& statement : statements) strongest = std::max(strongest, statement.lock);
  return strongest;
}

const Step* Plan::find(const StepId& step) const {
  const auto index = index_of(step);
  return index ? &steps[*index] : nullptr;
}

std::optional<std::size_t> Plan::index_of(const StepId& step) const {
  const auto found = std::ranges::find(steps, step, &Step::id);
  if (found == steps.end()) return std::nullopt;
  return static_cast<std::size_t>(found - steps.begin());
}

bool Plan::has(Phase phase) const {
  return std::ranges::any_of(steps, [&](const Step& step) { return step.phase == phase; });
}

int Plan::approvals_needed(Phase phase) const {
  const auto found = approvals.find(phase);
  return found == approvals.end() ? 0 : found->second;
}

Result<void> validate(const Plan& plan) {
  if (plan.steps.empty())
    return fail(ErrorCode::invalid_argument, "the plan has no step in expand, backfill or contract");
  std::set<StepId> ids;
  for (const auto& step : plan.steps) {
    if (!ids.insert(step.id).second) {
      return fail(ErrorCode::invalid_argument, fmt::format("step id '{}' is used twice in this plan", step.id.str()),
                  step.path + "/id");
    }
    if (!step.backfill && step.statements.empty()) {
      return fail(ErrorCode::invalid_argument, "the step holds no statement", step.path + "/sql");
    }
    if (auto valid = validate_statements(step.statements, step.path + "/sql"); !valid) return valid;
    if (auto valid = validate_statements(step.undo, step.path + "/undo"); !valid) return valid;
  }
  return validate_fleet(plan);
}

}  // namespace diastole::core
