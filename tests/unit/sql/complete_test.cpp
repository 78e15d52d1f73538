#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/sql/analysis.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::Phase;
using core::Plan;
using core::Severity;
using core::Step;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Step sql_step(Phase phase, std::string id, std::string sql, std::string undo = {}) {
  Step step;
  step.id = StepId(std::move(id));
  step.phase = phase;
  step.path = "/" + std::string(to_string(phase)) + "/0";
  step.sql = std::move(sql);
  step.undo_sql = std::move(undo);
  return step;
}

Step backfill_step() {
  Step step = sql_step(Phase::backfill, "copy", "");
  step.backfill = core::Backfill{.table = "Users",
                                 .set = {{"display_name", "name"}},
                                 .where = "display_name IS NULL",
                                 .needs = {},
                                 .verify = "zero_rows",
                                 .batch_rows = {}};
  return step;
}

Plan plan_of(std::vector<Step> steps) {
  Plan plan;
  plan.steps = std::move(steps);
  return plan;
}

std::vector<std::string> refused_rules(const Plan& plan) {
  std::vector<std::string> rules;
  for (const auto& finding : refusals(plan)) rules.push_back(finding.rule);
  return rules;
}

std::string error_of(Step step) {
  const auto plan = complete(plan_of({std::move(step)}));
  return plan ? "accepted" : plan.error().path + ": " + plan.error().message;
}

TEST(CompleteTest, ClassifiesStepsAndUndo) {
  const auto plan =
      complete(plan_of({sql_step(Phase::expand, "a", "ALTER TABLE t ADD COLUMN b int; ALTER TABLE u ADD COLUMN b int",
                                 "ALTER TABLE t DROP COLUMN IF EXISTS b")}));
  ASSERT_TRUE(plan) << plan.error().message;
  const Step& step = plan->steps.front();
  EXPECT_EQ(step.statements.size(), 2U);
  EXPECT_EQ(step.lock(), core::LockMode::access_exclusive);
  ASSERT_EQ(step.undo.size(), 1U);
  EXPECT_TRUE(step.undo.front().destructive);
  EXPECT_THAT(step.findings, IsEmpty());
}

TEST(CompleteTest, FindingsOfAllStepsCarryTheirPath) {
  Step other = sql_step(Phase::contract, "b", "CREATE INDEX i ON t (a)");
  other.path = "/contract/1";
  const auto plan = complete(plan_of({sql_step(Phase::expand, "a", "DROP TABLE t"), other}));
  const auto refused = refusals(*plan);
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].path, "/expand/0/sql");
  EXPECT_EQ(refused[1].path, "/contract/1/sql");
}

TEST(CompleteTest, BadSqlIsAFindingWithItsPath) {
  const auto only = [](Step step) {
    const auto refused = refusals(*complete(plan_of({std::move(step)})));
    EXPECT_EQ(refused.size(), 1U);
    return fmt::format("{} {}:{} {}: {}", refused.front().path, refused.front().line, refused.front().column,
                       refused.front().rule, refused.front().message);
  };
  EXPECT_EQ(only(sql_step(Phase::expand, "a", "DROP TABEL t")),
            "/expand/0/sql 1:6 syntax-error: syntax error at or near \"TABEL\"");
  EXPECT_EQ(only(sql_step(Phase::expand, "a", "SELECT 1", "SELEC")),
            "/expand/0/undo 1:1 syntax-error: syntax error at or near \"SELEC\"");
  EXPECT_THAT(only(sql_step(Phase::expand, "a", "-- nothing")), HasSubstr("holds no statement"));
}

TEST(CompleteTest, UndoMayDestroyButNotControlTransactions) {
  const auto plan = complete(plan_of({sql_step(Phase::expand, "a", "CREATE TABLE t (a int)", "DROP TABLE t; COMMIT")}));
  const auto refused = refusals(*plan);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].rule, "transaction-nesting");
  EXPECT_EQ(refused[0].path, "/expand/0/undo");
  const auto mixed =
      complete(plan_of({sql_step(Phase::expand, "a", "SELECT 1", "SELECT 1; DROP INDEX CONCURRENTLY i")}));
  EXPECT_THAT(refused_rules(*mixed), ElementsAre("ban-concurrent-index-creation-in-transaction"));
}

TEST(CompleteTest, TablesOfEarlierStepsAreNewUntilThePhaseEnds) {
  const auto create = sql_step(Phase::expand, "a", "CREATE TABLE t (a int)");
  const auto same_phase = complete(plan_of({create, sql_step(Phase::expand, "b", "CREATE INDEX i ON t (a)")}));
  EXPECT_THAT(refused_rules(*same_phase), IsEmpty());
  const auto next_phase = complete(plan_of({create, sql_step(Phase::contract, "b", "CREATE INDEX i ON t (a)")}));
  EXPECT_THAT(refused_rules(*next_phase), ElementsAre("require-concurrent-index-creation"));
  const auto other_table = complete(plan_of({create, sql_step(Phase::expand, "b", "CREATE INDEX i ON u (a)")}));
  EXPECT_THAT(refused_rules(*other_table), ElementsAre("require-concurrent-index-creation"));
}

TEST(CompleteTest, AllowLetsItsRulePass) {
  Step step = sql_step(Phase::expand, "a", "DROP TABLE t; CREATE INDEX i ON u (a)");
  step.allow = {{"ban-drop-table", "nobody has used it for a year"}};
  const auto plan = complete(plan_of({step}));
  EXPECT_THAT(refused_rules(*plan), ElementsAre("require-concurrent-index-creation"));
  EXPECT_EQ(plan->steps[0].findings[0].allowed_because, "nobody has used it for a year");
}

TEST(CompleteTest, AllowThatAllowsNothingIsAWarning) {
  Step step = sql_step(Phase::expand, "a", "SELECT 1");
  step.allow = {{"ban-drop-table", "why not"}};
  const auto plan = complete(plan_of({step}));
  EXPECT_THAT(refused_rules(*plan), IsEmpty());
  ASSERT_EQ(plan->steps[0].findings.size(), 1U);
  EXPECT_EQ(plan->steps[0].findings[0].rule, "unused-ignore");
  EXPECT_EQ(plan->steps[0].findings[0].severity, Severity::warning);
  EXPECT_EQ(plan->steps[0].findings[0].path, "/expand/0/allow/ban-drop-table");
}

TEST(CompleteTest, StructuralRulesCannotBeAllowed) {
  Step step = sql_step(Phase::expand, "a", "COMMIT");
  step.allow = {{"transaction-nesting", "I know what I do"}};
  EXPECT_THAT(refused_rules(*complete(plan_of({step}))), ElementsAre("transaction-nesting"));
}

Step set_not_null(std::string column) {
  Step step = sql_step(Phase::contract, "not-null", "");
  step.set_not_null = std::move(column);
  return step;
}

TEST(RecipeTest, SetNotNullBecomesFourSteps) {
  const auto plan = complete(plan_of({set_not_null("app.users.\"Name\"")}));
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->steps.size(), 4U);
  const auto& steps = plan->steps;
  EXPECT_EQ(steps[0].id.str(), "not-null.check");
  EXPECT_EQ(steps[1].id.str(), "not-null.validate");
  EXPECT_EQ(steps[2].id.str(), "not-null.set-not-null");
  EXPECT_EQ(steps[3].id.str(), "not-null.drop-check");
  const std::string add = "ALTER TABLE app.users ADD CONSTRAINT ";
  ASSERT_TRUE(steps[0].sql.starts_with(add));
  const std::string name = steps[0].sql.substr(add.size(), steps[0].sql.find(" CHECK") - add.size());
  EXPECT_THAT(name, testing::MatchesRegex("diastole_nn_[0-9a-f]+"));
  EXPECT_EQ(name.size(), 20U);
  EXPECT_EQ(steps[0].sql, add + name + " CHECK (\"Name\" IS NOT NULL) NOT VALID");
  EXPECT_EQ(steps[0].undo_sql, "ALTER TABLE app.users DROP CONSTRAINT IF EXISTS " + name);
  EXPECT_EQ(steps[1].sql, "ALTER TABLE app.users VALIDATE CONSTRAINT " + name);
  EXPECT_EQ(steps[2].sql, "ALTER TABLE app.users ALTER COLUMN \"Name\" SET NOT NULL");
  EXPECT_EQ(steps[2].undo_sql, "ALTER TABLE app.users ALTER COLUMN \"Name\" DROP NOT NULL");
  EXPECT_EQ(steps[3].sql, "ALTER TABLE app.users DROP CONSTRAINT " + name);
  for (const Step& step : steps) {
    EXPECT_EQ(step.statements.size(), 1U) << step.id.str();
    EXPECT_EQ(step.undo.empty(), !step.no_undo.empty()) << step.id.str();
    EXPECT_THAT(step.findings, IsEmpty());
    EXPECT_FALSE(step.destructive());
    EXPECT_EQ(step.path, "/contract/0");
  }
  EXPECT_EQ(steps[1].lock(), core::LockMode::share_update_exclusive);
}

TEST(RecipeTest, NamesDifferByColumn) {
  const auto one = complete(plan_of({set_not_null("users.a")}));
  const auto again = complete(plan_of({set_not_null("Users.a")}));
  const auto other = complete(plan_of({set_not_null("users.b")}));
  EXPECT_EQ(one->steps[3].sql, again->steps[3].sql);
  EXPECT_NE(one->steps[3].sql, other->steps[3].sql);
}

TEST(RecipeTest, RefusesWhatIsNoColumn) {
  EXPECT_EQ(error_of(set_not_null("users")),
            "/contract/0/set_not_null: 'table.column' or 'schema.table.column' is expected");
  EXPECT_THAT(error_of(set_not_null("a.b.c.d")), HasSubstr("/contract/0/set_not_null: "));
  EXPECT_THAT(error_of(set_not_null("users.a; DROP TABLE users")), HasSubstr("/contract/0/set_not_null: "));
}

TEST(ConcernsTest, AsksForWhatIsReplaced) {
  const auto request = concerns(
      plan_of({sql_step(Phase::expand, "a",
                        "CREATE OR REPLACE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE "
                        "AGGREGATE g(int) (sfunc = int4pl, stype = int); CREATE OR REPLACE VIEW v AS SELECT 1 AS a")}));
  EXPECT_THAT(request.functions, ElementsAre(core::RelationName{"app", "f"}, core::RelationName{"", "g"}));
  EXPECT_THAT(request.relations, ElementsAre(core::RelationName{"", "v"}));
}

TEST(BackfillTest, IsCheckedAndItsTableQuoted) {
  Step step = backfill_step();
  step.undo_sql = "UPDATE users SET display_name = NULL";
  const auto plan = complete(plan_of({step}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->steps[0].backfill->table, "users");
  EXPECT_THAT(plan->steps[0].statements, IsEmpty());
  EXPECT_EQ(plan->steps[0].undo.size(), 1U);
  EXPECT_THAT(plan->steps[0].findings, IsEmpty());
}

TEST(BackfillTest, EachPartIsRefusedWithItsPath) {
  const auto with = [](auto change) {
    Step step = backfill_step();
    change(*step.backfill);
    return error_of(std::move(step));
  };
  EXPECT_EQ(with([](auto&) {}), "accepted");
  EXPECT_THAT(with([](auto& b) { b.table = "users; DROP TABLE x"; }), HasSubstr("/backfill/0/table: "));
  EXPECT_THAT(with([](auto& b) { b.set.clear(); }), HasSubstr("/backfill/0/set: "));
  EXPECT_THAT(with([](auto& b) { b.set = {{"a/b", "name, 1"}}; }), HasSubstr("/backfill/0/set/a~1b: "));
  EXPECT_THAT(with([](auto& b) { b.set = {{"", "name"}}; }), HasSubstr("/backfill/0/set/: "));
  EXPECT_EQ(with([](auto& b) { b.set = {{"odd \"name\"", "name"}}; }), "accepted");
  EXPECT_THAT(with([](auto& b) { b.where = "true; DROP TABLE x"; }), HasSubstr("/backfill/0/where: "));
  EXPECT_THAT(with([](auto& b) { b.verify = "DELETE FROM users"; }), HasSubstr("/backfill/0/verify: "));
  EXPECT_EQ(with([](auto& b) { b.verify = "SELECT 1 FROM users WHERE display_name IS NULL"; }), "accepted");
  EXPECT_THAT(with([](auto& b) { b.where = ""; }), HasSubstr("/backfill/0/verify: zero_rows"));
  EXPECT_THAT(with([](auto& b) { b.hold_while = "LOCK users"; }), HasSubstr("/backfill/0/hold_while: "));
  EXPECT_THAT(with([](auto& b) { b.probe = "SELECT 1; SELECT 2"; }), HasSubstr("/backfill/0/probe: "));
  EXPECT_EQ(with([](auto& b) {
              b.hold_while = "SELECT count(*) > 3 FROM jobs";
              b.probe = "SELECT * FROM users WHERE id = 1";
            }),
            "accepted");
}

TEST(BackfillTest, ShowsItsWayAsFarAsTheCatalogTells) {
  auto catalog = test::shop_catalog();
  const auto copied = [&](std::vector<Step> before, std::string table = "users") {
    before.push_back(backfill_step());
    before.back().backfill->table = std::move(table);
    return complete(plan_of(std::move(before)), &catalog)->steps.back();
  };
  const auto add = sql_step(Phase::expand, "a", "ALTER TABLE users ADD display_name text");
  const auto walk = copied({add}).backfill->walk;
  ASSERT_TRUE(walk);
  EXPECT_EQ(walk->by, core::WalkBy::blocks);
  EXPECT_EQ(walk->strides, 16);
  const auto indexed =
      copied({add, sql_step(Phase::expand, "b", "CREATE INDEX CONCURRENTLY new_index ON users (display_name)")});
  EXPECT_EQ(indexed.backfill->walk->strides, 1);
  EXPECT_THAT(indexed.backfill->walk->because.back(), HasSubstr("new_index"));
  EXPECT_EQ(copied({}, "unheard_of").backfill->walk, std::nullopt);

  for (auto& relation : catalog.relations) {
    if (relation.name.name == "users") relation.kind = core::RelationKind::foreign_table;
  }
  const auto refused = copied({add});
  EXPECT_EQ(refused.backfill->walk, std::nullopt);
  ASSERT_THAT(refused.findings, ::testing::Contains(::testing::Field(&core::Finding::rule, "backfill-without-way")));
}

TEST(BackfillTest, NamesNothingThatItsTableDoesNotHave) {
  const auto catalog = test::shop_catalog();
  const auto findings_of = [&](std::string expression, std::string where, std::string table = "users",
                               std::string column = "title") {
    Step step = backfill_step();
    step.backfill->table = std::move(table);
    step.backfill->set = {{std::move(column), std::move(expression)}};
    step.backfill->where = std::move(where);
    const auto plan = complete(plan_of({sql_step(Phase::expand, "a", "ALTER TABLE users ADD title text"),
                                        sql_step(Phase::expand, "b", "ALTER TABLE events ADD title text"), step}),
                               &catalog);
    std::vector<std::string> found;
    for (const core::Finding& one : plan->steps.back().findings)
      found.push_back(fmt::format("{} {}:{} {} {}", one.path, one.line, one.column, one.rule, one.subject.column));
    return found;
  };
  EXPECT_THAT(findings_of("name", "title IS DISTINCT FROM users.name AND public.users.age > 1"), IsEmpty());
  EXPECT_THAT(findings_of("row_to_json(users)", "title IS NULL AND ctid IS NOT NULL AND users.* IS NOT NULL"),
              IsEmpty());
  EXPECT_THAT(findings_of("(SELECT label FROM lookup l WHERE l.id = users.id)", "title IS NULL"), IsEmpty());
  EXPECT_THAT(findings_of("'x'", "title IS NULL", "events_2024"), IsEmpty());
  EXPECT_THAT(findings_of("nam", "title IS NULL"), ElementsAre("/backfill/0/set/title 1:1 unknown-column nam"));
  EXPECT_THAT(
      findings_of("lower(\n  nam)", "u.title IS NULL OR\n f(é, other.users.age)"),
      UnorderedElementsAre("/backfill/0/set/title 2:3 unknown-column nam",
                           "/backfill/0/where 1:1 unknown-column u.title", "/backfill/0/where 2:4 unknown-column \"é\"",
                           "/backfill/0/where 2:7 unknown-column other.users.age"));
  EXPECT_THAT(findings_of("nam IN (SELECT label FROM lookup)", "title IS NULL"),
              ElementsAre("/backfill/0/set/title 1:1 unknown-column nam"));
  EXPECT_THAT(findings_of("name", "age > 1", "users", "a/b"),
              ElementsAre("/backfill/0/set/a~1b 0:0 unknown-column \"a/b\""));
  EXPECT_THAT(findings_of("whatever", "title IS NULL", "unheard_of"), IsEmpty());
  Step renamed = backfill_step();
  renamed.backfill->set = {{"label", "email"}};
  renamed.backfill->where = "label IS NULL";
  const auto plan =
      complete(plan_of({sql_step(Phase::expand, "a", "ALTER TABLE users RENAME name TO label"), renamed}), &catalog);
  EXPECT_THAT(plan->steps.back().findings, IsEmpty());
}

TEST(BackfillTest, ItsOwnSqlIsCutAndClassified) {
  Step step = backfill_step();
  *step.backfill =
      core::Backfill{.table = "users", .set = {}, .where = {}, .needs = {}, .verify = {}, .batch_rows = {}};
  step.backfill->sql = "INSERT INTO totals SELECT max(id) FROM users WHERE id BETWEEN :from AND :to";
  const auto plan = complete(plan_of({step}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(refused_rules(*plan), IsEmpty());
  EXPECT_EQ(plan->steps[0].backfill->sql_pieces.size(), 4U);
  ASSERT_EQ(plan->steps[0].statements.size(), 1U);
  EXPECT_EQ(plan->steps[0].statements[0].sql, step.backfill->sql) << "as it was written";
  EXPECT_THAT(plan->steps[0].statements[0].tables(), testing::UnorderedElementsAre("totals", "users"));
  step.backfill->sql = "DROP TABLE users";
  EXPECT_THAT(error_of(step), HasSubstr("/backfill/0/sql: line 1, column 1: "));
}

core::Recheck recheck_of(Step backfill, const std::string& contract) {
  const auto plan = complete(plan_of({std::move(backfill), sql_step(Phase::contract, "c", contract)}));
  EXPECT_TRUE(plan) << plan.error().message;
  return plan->steps[0].backfill->recheck;
}

TEST(RecheckTest, ZeroRowsIsAskedAgainWhereContractLeavesItsColumns) {
  const core::Recheck same{.where = "display_name IS NULL"};
  EXPECT_EQ(recheck_of(backfill_step(), "ALTER TABLE users DROP COLUMN name"), same);
  Step step = backfill_step();
  step.backfill->where = "display_name IS DISTINCT FROM name";
  const core::Recheck never{
      .where = "(display_name IS DISTINCT FROM name\n) AND ((display_name IS NULL AND (name\n) IS NOT NULL))"};
  EXPECT_EQ(recheck_of(step, "ALTER TABLE users ADD CHECK (id > 0) NOT VALID").where, step.backfill->where);
  EXPECT_EQ(recheck_of(step, "ALTER TABLE users ADD x int, DROP COLUMN name"), never);
  EXPECT_EQ(recheck_of(step, "ALTER TABLE users RENAME name TO old_name"), never);
  step.backfill->where = "users IS DISTINCT FROM NULL";
  EXPECT_THAT(recheck_of(step, "ALTER TABLE users DROP COLUMN name").where, HasSubstr("display_name IS NULL"))
      << "the whole row has every column";
}

TEST(RecheckTest, AQueryIsRepeatedAndThePlansOwnWordGoesFirst) {
  Step step = backfill_step();
  step.backfill->verify = "SELECT 1 FROM users WHERE display_name IS NULL";
  EXPECT_EQ(recheck_of(step, "ALTER TABLE users DROP COLUMN name"), core::Recheck{.query = step.backfill->verify});
  step.backfill->verify.clear();
  EXPECT_EQ(recheck_of(step, "ALTER TABLE users DROP COLUMN name"), core::Recheck{.none = "the step has no `verify`"});
  step.backfill->recheck = {.none = "nobody minds"};
  EXPECT_EQ(recheck_of(step, "ALTER TABLE users DROP COLUMN name"), core::Recheck{.none = "nobody minds"});
  step.backfill->recheck = {.query = "DELETE FROM users"};
  EXPECT_THAT(error_of(step), HasSubstr("/backfill/0/recheck: one SELECT"));
  EXPECT_EQ(complete(plan_of({backfill_step()}))->steps[0].backfill->recheck, core::Recheck{})
      << "there is no contract before which to ask";
}

}  // namespace
}  // namespace diastole::sql
