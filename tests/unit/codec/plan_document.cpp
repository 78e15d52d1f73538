// The plan document: the example of the design, every rule of its reader with the exact path, and the hash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "diastole/codec/plan_codec.hpp"

namespace diastole::codec {
namespace {

using core::Phase;
using nlohmann::json;

constexpr std::string_view kExample = R"(
plan: users-display-name            # [a-z0-9-]{1,63}, unique per target
target: main
summary: rename users.name to display_name
fleet:
  - service: api
    version: ">=2.3.0"
    min_instances: 3
expand:
  - id: add-column
    sql: ALTER TABLE users ADD COLUMN display_name text
    undo: ALTER TABLE users DROP COLUMN IF EXISTS display_name
  - id: index
    sql: CREATE INDEX CONCURRENTLY idx_users_display_name ON users (display_name)
    undo: DROP INDEX CONCURRENTLY IF EXISTS idx_users_display_name
backfill:
  - id: copy-names
    table: users
    set: { display_name: name }
    where: display_name IS NULL
    needs: { api: ">=2.2.0" }
    verify: zero_rows
contract:
  - id: not-null
    set_not_null: users.display_name
  - id: drop-name
    sql: ALTER TABLE users DROP COLUMN name
    undo: ALTER TABLE users ADD COLUMN name text; UPDATE users SET name = display_name
approvals: { expand: 0, backfill: 0, contract: 1 }
gate: { soak: 10m }
)";

json example() {
  return *parse_yaml(kExample);
}

TEST(PlanDocumentTest, TheExampleIsRead) {
  const auto plan = plan_from_document(example());
  ASSERT_TRUE(plan.has_value()) << plan.error().front().path << plan.error().front().message;
  EXPECT_EQ(plan->id, PlanId("main.users-display-name"));
  EXPECT_EQ(plan->name, "users-display-name");
  EXPECT_EQ(plan->target, TargetName("main"));
  EXPECT_EQ(plan->summary, "rename users.name to display_name");
  EXPECT_EQ(plan->gate.soak, Milliseconds{600'000});
  ASSERT_EQ(plan->gate.fleet.size(), 1U);
  EXPECT_EQ(plan->gate.fleet[0].service, ServiceName("api"));
  EXPECT_EQ(plan->gate.fleet[0].version.text(), ">=2.3.0");
  EXPECT_EQ(plan->gate.fleet[0].min_instances, 3);
  EXPECT_EQ(plan->approvals, (std::map<Phase, int>{{Phase::expand, 0}, {Phase::backfill, 0}, {Phase::contract, 1}}));

  ASSERT_EQ(plan->steps.size(), 5U);
  EXPECT_EQ(plan->steps[0].id, StepId("add-column"));
  EXPECT_EQ(plan->steps[0].path, "/expand/0");
  EXPECT_EQ(plan->steps[0].sql, "ALTER TABLE users ADD COLUMN display_name text");
  EXPECT_EQ(plan->steps[0].undo_sql, "ALTER TABLE users DROP COLUMN IF EXISTS display_name");
  EXPECT_EQ(plan->steps[1].phase, Phase::expand);
  const auto& copy = plan->steps[2];
  EXPECT_EQ(copy.phase, Phase::backfill);
  ASSERT_TRUE(copy.backfill.has_value());
  EXPECT_EQ(copy.backfill->table, "users");
  EXPECT_EQ(copy.backfill->set, (std::vector<std::pair<std::string, std::string>>{{"display_name", "name"}}));
  EXPECT_EQ(copy.backfill->where, "display_name IS NULL");
  EXPECT_EQ(copy.backfill->verify, "zero_rows");
  ASSERT_EQ(copy.backfill->needs.size(), 1U);
  EXPECT_EQ(copy.backfill->needs[0].version.text(), ">=2.2.0");
  EXPECT_EQ(copy.backfill->needs[0].min_instances, 3) << "as the fleet declares";
  EXPECT_FALSE(copy.no_undo.empty());
  EXPECT_EQ(plan->steps[3].set_not_null, "users.display_name");
  EXPECT_EQ(plan->steps[4].phase, Phase::contract);
}

TEST(PlanDocumentTest, WhatIsLeftOutHasItsDefault) {
  const auto document = *parse_yaml("{plan: p, target: t, expand: [{id: a, sql: SELECT 1, undo: {none: reads only}}]}");
  const auto plan = plan_from_document(document, {.soak = Milliseconds{5}, .min_soak = Milliseconds{0}});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->approvals_needed(Phase::contract), 1);
  EXPECT_EQ(plan->gate.soak, Milliseconds{5});
  EXPECT_EQ(plan->steps[0].no_undo, "reads only");
  EXPECT_TRUE(plan->steps[0].undo_sql.empty());
}

TEST(PlanDocumentTest, EveryOptionIsRead) {
  auto document = example();
  document["fleet"].push_back(
      {{"service", "worker"}, {"one_of", {"4f1c2ab", 123}}, {"min_instances", 0}, {"reason", "nightly"}});
  document["expand"][0]["statement_timeout"] = "30s";
  document["expand"][0]["allow"] = {{"some-rule", "we looked"}};
  document["backfill"][0]["batch_rows"] = 500;
  document["backfill"][0]["hours"] = "22:00-06:30";
  document["backfill"][0]["hold_while"] = "SELECT busy FROM flags";
  document["backfill"][0]["probe"] = "SELECT name FROM users WHERE id = 1";
  document["backfill"][0]["vacuum_every"] = 200'000;
  document["backfill"][0]["needs"] = {{"worker", {"4f1c2ab"}}};
  document["backfill"][0]["on_error"] = "skip";
  document["backfill"][0]["recheck"] = "SELECT 1 FROM users WHERE display_name = ''";
  document["backfill"].push_back({{"id", "totals"},
                                  {"table", "orders"},
                                  {"sql", "DELETE FROM x WHERE id BETWEEN :from AND :to"},
                                  {"recheck", {{"none", "nobody reads x"}}}});
  const auto plan = plan_from_document(document);
  ASSERT_TRUE(plan.has_value()) << plan.error().front().path << plan.error().front().message;
  EXPECT_EQ(plan->gate.fleet[1].version.builds(), (std::vector<std::string>{"4f1c2ab", "123"}));
  EXPECT_EQ(plan->gate.fleet[1].reason, "nightly");
  EXPECT_EQ(plan->steps[0].statement_timeout, Milliseconds{30'000});
  EXPECT_EQ(plan->steps[0].allow, (std::map<std::string, std::string>{{"some-rule", "we looked"}}));
  EXPECT_EQ(plan->steps[2].backfill->batch_rows, 500);
  EXPECT_EQ(plan->steps[2].backfill->hours, (core::Hours{.from = 1'320, .to = 390}));
  EXPECT_EQ(plan->steps[2].backfill->hold_while, "SELECT busy FROM flags");
  EXPECT_EQ(plan->steps[2].backfill->probe, "SELECT name FROM users WHERE id = 1");
  EXPECT_EQ(plan->steps[2].backfill->vacuum_every, 200'000);
  EXPECT_EQ(plan->steps[2].backfill->needs[0].version.text(), "one of 4f1c2ab");
  EXPECT_EQ(plan->steps[2].backfill->needs[0].min_instances, 0);
  EXPECT_EQ(plan->steps[2].backfill->on_error, core::OnError::skip);
  EXPECT_EQ(plan->steps[2].backfill->recheck, core::Recheck{.query = "SELECT 1 FROM users WHERE display_name = ''"});
  EXPECT_EQ(plan->steps[3].backfill->sql, "DELETE FROM x WHERE id BETWEEN :from AND :to");
  EXPECT_EQ(plan->steps[3].backfill->on_error, core::OnError::stop);
  EXPECT_EQ(plan->steps[3].backfill->recheck, core::Recheck{.none = "nobody reads x"});
}

TEST(PlanDocumentTest, ReadsHowSessionsAreKnownAndWhatTheGateDoes) {
  using Tells = core::RoleMapping::Tells;
  auto document = example();
  document["fleet"][0]["roles"] = {{"api_v1", "1.0.0"}, {"app", "application_name"}, {"legacy", "nothing"}};
  document["gate"] = {{"soak", "5m"}, {"quarantine", "24h"}, {"drain_budget", "2m"}, {"terminate", true}};
  const auto plan = plan_from_document(document);
  ASSERT_TRUE(plan.has_value()) << plan.error().front().path << plan.error().front().message;
  EXPECT_EQ(plan->gate.fleet[0].roles, (std::vector<core::RoleMapping>{{"api_v1", Tells::version, "1.0.0"},
                                                                       {"app", Tells::application_name, ""},
                                                                       {"legacy", Tells::nothing, ""}}));
  EXPECT_EQ(plan->gate.quarantine, Milliseconds{86'400'000});
  EXPECT_EQ(plan->gate.drain_budget, Milliseconds{120'000});
  EXPECT_TRUE(plan->gate.terminate);
}

struct Wrong {
  std::string change;  // a JSON merge patch (RFC 7396) of the example; lists are replaced as a whole
  std::vector<std::string> paths;
  std::string about;  // in the first message
};

class WrongPlan : public testing::TestWithParam<Wrong> {};

TEST_P(WrongPlan, IsRefusedWithItsPath) {
  auto document = example();
  document.merge_patch(json::parse(GetParam().change));
  const auto plan = plan_from_document(document);
  ASSERT_FALSE(plan.has_value());
  std::vector<std::string> paths;
  for (const auto& error : plan.error()) {
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    paths.push_back(error.path);
  }
  EXPECT_EQ(paths, GetParam().paths) << plan.error().front().message;
  EXPECT_TRUE(plan.error().front().message.contains(GetParam().about)) << plan.error().front().message;
}

INSTANTIATE_TEST_SUITE_P(
    Document, WrongPlan,
    testing::Values(
        Wrong{R"({"gaet": {}})", {"/gaet"}, "unknown key 'gaet'"},
        Wrong{R"({"a/b~c": 1})", {"/a~1b~0c"}, "unknown key"}, Wrong{R"({"plan": null})", {"/plan"}, "missing"},
        Wrong{R"({"plan": ""})", {"/plan"}, "not empty"}, Wrong{R"({"plan": 7})", {"/plan"}, "found 7"},
        Wrong{R"({"plan": "Users"})", {"/plan"}, "found 'Users'"}, Wrong{R"({"plan": "a.b"})", {"/plan"}, "1 to 63"},
        Wrong{R"({"plan": "a\nb"})", {"/plan"}, "1 to 63"},
        Wrong{R"({"plan": "a123456789012345678901234567890123456789012345678901234567890123"})", {"/plan"}, "1 to 63"},
        Wrong{R"({"target": null})", {"/target"}, "missing"}, Wrong{R"({"summary": ["x"]})", {"/summary"}, "[\"x\"]"},
        Wrong{R"({"expand": {}})", {"/expand"}, "expected a list"},
        Wrong{R"({"expand": ["x"]})", {"/expand/0"}, "mapping"},
        Wrong{R"({"plan": 1, "target": 2, "gate": 3})", {"/plan", "/target", "/gate"}, "text"}));

INSTANTIATE_TEST_SUITE_P(
    Fleet, WrongPlan,
    testing::Values(
        Wrong{R"({"backfill": null, "fleet": {"api": ">=1.0.0"}})", {"/fleet"}, "expected a list"},
        Wrong{R"({"fleet": [{"version": ">=1.0.0"}]})", {"/fleet/0/service"}, "missing"},
        Wrong{R"({"fleet": [{"service": "A B", "version": ">=1.0.0"}]})", {"/fleet/0/service"}, "'A B'"},
        Wrong{R"({"fleet": [{"service": "api"}]})", {"/fleet/0"}, "exactly one"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "one_of": ["a"]}]})", {"/fleet/0"}, "exactly one"},
        Wrong{R"({"fleet": [{"service": "api", "version": "latest"}]})", {"/fleet/0/version"}, "'latest'"},
        Wrong{R"({"fleet": [{"service": "api", "version": 2}]})", {"/fleet/0/version"}, "found 2"},
        Wrong{R"({"fleet": [{"service": "api", "one_of": []}]})", {"/fleet/0/one_of"}, "no version"},
        Wrong{R"({"fleet": [{"service": "api", "one_of": "a"}]})", {"/fleet/0/one_of"}, "expected a list"},
        Wrong{R"({"fleet": [{"service": "api", "one_of": ["a", 1.5]}]})", {"/fleet/0/one_of/1"}, "1.5"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "min_instances": -1}]})",
              {"/fleet/0/min_instances"},
              "-1"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "min_instances": "3"}]})",
              {"/fleet/0/min_instances"},
              "\"3\""},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "min_instances": 18446744073709551615}]})",
              {"/fleet/0/min_instances"},
              "whole number"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "roles": ["api"]}]})",
              {"/fleet/0/roles"},
              "mapping of role"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "roles": {}}]})",
              {"/fleet/0/roles"},
              "mapping of role"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "roles": {"a/b": "latest"}}]})",
              {"/fleet/0/roles/a~1b"},
              "no semantic version"},
        Wrong{R"({"fleet": [{"service": "a", "version": ">=1.0.0", "roles": {"x": "1.0.0"}},
                            {"service": "b", "version": ">=1.0.0", "roles": {"x": "1.0.0"}}]})",
              {"/fleet/1/roles/x"},
              "of service a"},
        Wrong{R"({"gate": {"terminate": "yes"}})", {"/gate/terminate"}, "true or false"},
        Wrong{R"({"gate": {"quarantine": 5}})", {"/gate/quarantine"}, "found 5"},
        Wrong{R"({"gate": {"drain_budget": "soon"}})", {"/gate/drain_budget"}, "soon"},
        Wrong{R"({"fleet": [{"service": "api", "version": ">=1.0.0", "minimum": 1}]})",
              {"/fleet/0/minimum"},
              "unknown key"}));

INSTANTIATE_TEST_SUITE_P(
    Steps, WrongPlan,
    testing::Values(
        Wrong{R"({"expand": [{"sql": "x", "undo": "y"}]})", {"/expand/0/id"}, "missing"},
        Wrong{R"({"expand": [{"id": "a.b", "sql": "x", "undo": "y"}]})", {"/expand/0/id"}, "'a.b'"},
        Wrong{R"({"expand": [{"id": "a", "undo": "y"}]})", {"/expand/0"}, "exactly one of 'sql'"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "set_not_null": "t.c", "undo": "y"}]})",
              {"/expand/0"},
              "exactly one of 'sql'"},
        Wrong{R"({"expand": [{"id": "a", "sql": 5, "undo": "y"}]})", {"/expand/0/sql"}, "found 5"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x"}]})", {"/expand/0/undo"}, "write the SQL"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": "none"}]})", {"/expand/0/undo"}, "none: <reason>"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": {"none": ""}}]})", {"/expand/0/undo/none"}, "not empty"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": {}}]})", {"/expand/0/undo/none"}, "missing"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": {"none": "r", "sql": "y"}}]})",
              {"/expand/0/undo/sql"},
              "unknown key"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": ["y"]}]})", {"/expand/0/undo"}, "expected text"},
        Wrong{R"({"contract": [{"id": "a", "set_not_null": "t.c", "undo": "y"}]})",
              {"/contract/0/undo"},
              "brings its own"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": "y", "allow": ["r"]}]})",
              {"/expand/0/allow"},
              "mapping of rule"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": "y", "allow": {"a/b": ""}}]})",
              {"/expand/0/allow/a~1b"},
              "not empty"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": "y", "statement_timeout": "5"}]})",
              {"/expand/0/statement_timeout"},
              "'5'"},
        Wrong{R"({"expand": [{"id": "a", "sql": "x", "undo": "y", "statement_timeout": 5}]})",
              {"/expand/0/statement_timeout"},
              "found 5"},
        Wrong{
            R"({"expand": [{"id": "a", "sql": "x", "undo": "y", "table": "t"}]})", {"/expand/0/table"}, "unknown key"},
        // Every error of a document at once.
        Wrong{R"({"expand": [{"sql": 1}], "gate": {"soak": "x"}})",
              {"/expand/0/id", "/expand/0/sql", "/expand/0/undo", "/gate/soak"},
              "missing"}));

INSTANTIATE_TEST_SUITE_P(
    Backfills, WrongPlan,
    testing::Values(
        Wrong{R"({"backfill": [{"id": "a", "set": {"c": "d"}}]})", {"/backfill/0/table"}, "missing"},
        Wrong{R"({"backfill": [{"id": "a", "table": 5, "set": {"c": "d"}}]})", {"/backfill/0/table"}, "found 5"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t"}]})", {"/backfill/0/set"}, "mapping of column"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {}}]})", {"/backfill/0/set"}, "mapping of column"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": 5}}]})", {"/backfill/0/set/c"}, "found 5"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "verify": "zero_rows"}]})",
              {"/backfill/0/verify"},
              "no 'where'"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "batch_rows": 0}]})",
              {"/backfill/0/batch_rows"},
              "from 1"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "vacuum_every": 10}]})",
              {"/backfill/0/vacuum_every"},
              "from 1000"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "hours": "at night"}]})",
              {"/backfill/0/hours"},
              "'at night'"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "hold_while": true}]})",
              {"/backfill/0/hold_while"},
              "found true"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "needs": ["api"]}]})",
              {"/backfill/0/needs"},
              "mapping of service"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "needs": {"api": "x"}}]})",
              {"/backfill/0/needs/api"},
              "'x'"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "sql": "x"}]})",
              {"/backfill/0/set"},
              "does not go with 'sql'"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "sql": "x", "where": "y", "strides": 1}]})",
              {"/backfill/0/where", "/backfill/0/strides"},
              "does not go with 'sql'"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "sql": "x", "verify": "zero_rows"}]})",
              {"/backfill/0/verify"},
              "no 'where'"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "on_error": "ignore"}]})",
              {"/backfill/0/on_error"},
              "stop or skip"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "recheck": "none"}]})",
              {"/backfill/0/recheck"},
              "none: <reason>"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "recheck": {"none": ""}}]})",
              {"/backfill/0/recheck/none"},
              "not empty"},
        Wrong{R"({"backfill": [{"id": "a", "table": "t", "set": {"c": "d"}, "undo": "none"}]})",
              {"/backfill/0/undo"},
              "none: <reason>"}));

INSTANTIATE_TEST_SUITE_P(
    Rules, WrongPlan,
    testing::Values(Wrong{R"({"approvals": {"contract": -1}})", {"/approvals/contract"}, "from 0 to 10"},
                    Wrong{R"({"approvals": {"contract": 11}})", {"/approvals/contract"}, "found 11"},
                    Wrong{R"({"approvals": {"contract": true}})", {"/approvals/contract"}, "found true"},
                    Wrong{R"({"approvals": {"contract": 1.0}})", {"/approvals/contract"}, "whole number"},
                    Wrong{R"({"approvals": {"deploy": 1}})", {"/approvals/deploy"}, "unknown key"},
                    Wrong{R"({"approvals": 1})", {"/approvals"}, "mapping"},
                    Wrong{R"({"gate": {"soak": "soon"}})", {"/gate/soak"}, "'soon'"},
                    Wrong{R"({"gate": {"soak": 600}})", {"/gate/soak"}, "found 600"},
                    Wrong{R"({"gate": {"soak": "-5s"}})", {"/gate/soak"}, "'-5s'"},
                    Wrong{R"({"gate": {"quarantined": "24h"}})", {"/gate/quarantined"}, "unknown key"}));

TEST(PlanDocumentTest, ItIsAMapping) {
  for (const json& document : {json(), json::array(), json("plan"), json(5)}) {
    const auto plan = plan_from_document(document);
    ASSERT_FALSE(plan.has_value());
    ASSERT_EQ(plan.error().size(), 1U);
    EXPECT_EQ(plan.error()[0].path, "");
  }
}

TEST(PlanDocumentTest, TheSoakIsNotBelowTheDaemonsMinimum) {
  auto document = example();
  const PlanDefaults approvals{.soak = Milliseconds{0}, .min_soak = Milliseconds{0}, .min_contract_approvals = 2};
  const auto unapproved = plan_from_document(
      *parse_yaml(
          "{plan: p, target: t, expand: [{id: a, sql: SELECT 1, undo: {none: reads only}}], approvals: {contract: 1}}"),
      approvals);
  ASSERT_FALSE(unapproved.has_value());
  EXPECT_EQ(unapproved.error().front().path, "/approvals/contract");
  const PlanDefaults strict{.soak = Milliseconds{900'000}, .min_soak = Milliseconds{900'000}};
  const auto plan = plan_from_document(document, strict);
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error()[0].path, "/gate/soak");
  EXPECT_TRUE(plan.error()[0].message.contains("15m"));
  document["gate"]["soak"] = "15m";
  EXPECT_TRUE(plan_from_document(document, strict).has_value());
}

TEST(PlanDocumentTest, TheHashIsOfTheContentNotOfItsForm) {
  const auto hash = plan_from_document(example())->hash;
  EXPECT_TRUE(hash.starts_with("sha256-") && hash.size() == 71);
  // The same as JSON, with its keys the other way round.
  const auto document = example();
  std::string reversed = "{";
  for (auto entry = document.rbegin(); entry != document.rend(); ++entry) {
    reversed += json(entry.key()).dump() + ":" + entry.value().dump() + ",";
  }
  reversed.back() = '}';
  EXPECT_EQ(plan_from_document(*parse_json(reversed))->hash, hash);
  auto other = document;
  other["expand"][0]["sql"] = "ALTER TABLE users ADD COLUMN display_name varchar";
  EXPECT_NE(plan_from_document(other)->hash, hash);
  other = document;
  std::swap(other["expand"][0], other["expand"][1]);
  EXPECT_NE(plan_from_document(other)->hash, hash) << "the order of steps is content";
}

}  // namespace
}  // namespace diastole::codec
