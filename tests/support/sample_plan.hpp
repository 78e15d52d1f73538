// One small plan that has everything the state machine distinguishes.
#pragma once

#include <string>
#include <utility>

#include "diastole/core/plan.hpp"

namespace diastole::test {

inline core::Step statement_step(std::string id, core::Phase phase, std::string sql, std::string undo) {
  core::Step step;
  step.id = StepId(std::move(id));
  step.phase = phase;
  step.path = "/" + std::string(to_string(phase)) + "/0";
  step.sql = sql;
  core::Statement statement;
  statement.sql = std::move(sql);
  statement.kind = "ALTER TABLE";
  statement.lock = core::LockMode::access_exclusive;
  statement.touches = {{.relation = "users"}};
  step.statements.push_back(statement);
  if (undo.empty()) {
    step.no_undo = "nothing depends on it";
  } else {
    step.undo_sql = undo;
    statement.sql = std::move(undo);
    step.undo.push_back(std::move(statement));
  }
  return step;
}

inline core::FleetRequirement requirement(const std::string& service, const std::string& range, int min_instances = 1) {
  return {ServiceName(service), *core::VersionRequirement::range(range), min_instances, {}};
}

// The places of sample_plan's steps.
enum : std::size_t { kColumn, kIndex, kCopy, kCheck, kDrop, kTidy };

// expand: a transactional step and a concurrent index; backfill: one with needs, without undo; contract: one that can
// be undone, a destructive one, one without undo. `expand_approvals` beside 0 for backfill and 1 for contract.
inline core::Plan sample_plan(int expand_approvals = 0) {
  using core::Phase;
  core::Plan plan;
  plan.name = "rename";
  plan.target = TargetName("main");
  plan.id = PlanId("main.rename");
  plan.hash = "sha256-" + std::string(64, 'a');
  plan.gate.fleet = {requirement("api", ">=2.0.0")};
  plan.gate.soak = Milliseconds{60'000};
  plan.approvals = {{Phase::expand, expand_approvals}, {Phase::backfill, 0}, {Phase::contract, 1}};

  plan.steps.push_back(statement_step("column", Phase::expand, "ALTER TABLE users ADD COLUMN b text",
                                      "ALTER TABLE users DROP COLUMN IF EXISTS b"));
  plan.steps.push_back(statement_step("index", Phase::expand, "CREATE INDEX CONCURRENTLY users_b ON users (b)",
                                      "DROP INDEX CONCURRENTLY IF EXISTS users_b"));
  plan.steps.back().statements.front().transactional = false;
  plan.steps.back().undo.front().transactional = false;

  core::Step copy;
  copy.id = StepId("copy");
  copy.phase = Phase::backfill;
  copy.path = "/backfill/0";
  copy.no_undo = "the column goes";
  copy.backfill = core::Backfill{.table = "users",
                                 .set = {{"b", "a"}},
                                 .where = "b IS NULL",
                                 .needs = {requirement("api", ">=1.5.0")},
                                 .verify = "zero_rows",
                                 .batch_rows = {}};
  plan.steps.push_back(std::move(copy));

  plan.steps.push_back(statement_step("check", Phase::contract,
                                      "ALTER TABLE users ADD CONSTRAINT c CHECK (b IS NOT NULL) NOT VALID",
                                      "ALTER TABLE users DROP CONSTRAINT IF EXISTS c"));
  plan.steps.push_back(statement_step("drop", Phase::contract, "ALTER TABLE users DROP COLUMN a",
                                      "ALTER TABLE users ADD COLUMN a text"));
  plan.steps.back().statements.front().destructive = true;
  plan.doomed = {{.step = StepId("drop"), .table = "users", .column = "a"}};
  plan.steps.push_back(statement_step("tidy", Phase::contract, "COMMENT ON COLUMN users.b IS 'name'", ""));
  return plan;
}

}  // namespace diastole::test
