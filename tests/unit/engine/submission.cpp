#include "diastole/engine/submission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/fake_target.hpp"

namespace diastole::engine {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

json document() {
  return json::parse(R"({
    "plan": "users-display-name", "target": "main",
    "fleet": [{"service": "api", "version": ">=2.3.0", "min_instances": 3}],
    "expand": [{"id": "add", "sql": "ALTER TABLE users ADD COLUMN display_name text",
                "undo": "ALTER TABLE users DROP COLUMN IF EXISTS display_name"}],
    "backfill": [{"id": "copy", "table": "users", "set": {"display_name": "name"},
                  "where": "display_name IS NULL", "verify": "zero_rows"}],
    "contract": [{"id": "not-null", "set_not_null": "users.display_name"}]
  })");
}

class SubmissionTest : public testing::Test {
 protected:
  std::expected<Examined, Refusal> examined(const json& document) {
    return examine(document, {}, {{TargetName("main"), &main_}, {TargetName("reports"), &reports_}});
  }

  test::FakeTarget main_;
  test::FakeTarget reports_;
};

TEST_F(SubmissionTest, GoodDocumentBecomesItsPlan) {
  const auto examination = examined(document());
  ASSERT_TRUE(examination) << examination.error().errors.front().message;
  const auto* plan = &examination->plan;
  EXPECT_EQ(plan->id, PlanId("main.users-display-name"));
  ASSERT_THAT(plan->steps, SizeIs(6)) << "the recipe of set_not_null has four";
  EXPECT_EQ(plan->steps.front().statements.front().kind, "ALTER TABLE");
}

TEST_F(SubmissionTest, UnknownTargetIsNamedBesideTheKnownOnes) {
  auto wrong = document();
  wrong["target"] = "mian";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  ASSERT_THAT(plan.error().errors, SizeIs(1));
  EXPECT_EQ(plan.error().errors.front().path, "/target");
  EXPECT_THAT(plan.error().errors.front().message, HasSubstr("mian"));
  EXPECT_THAT(plan.error().errors.front().message, HasSubstr("main, reports"));
}

TEST_F(SubmissionTest, EveryErrorOfFormHasItsPath) {
  auto wrong = document();
  wrong["backfill"][0].erase("table");
  wrong["expand"][0]["sqll"] = "x";
  wrong["fleet"][0]["version"] = "two";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  std::vector<std::string> paths;
  for (const auto& error : plan.error().errors) paths.push_back(error.path);
  EXPECT_THAT(paths, Contains("/backfill/0/table"));
  EXPECT_THAT(paths, Contains("/expand/0/sqll"));
  EXPECT_THAT(paths, Contains("/fleet/0/version"));
  EXPECT_THAT(plan.error().findings, IsEmpty());
  EXPECT_THAT(plan.error().catalog_missing, HasSubstr("form"));
  EXPECT_EQ(main_.calls(), 0) << "nothing to ask the target for";
}

TEST_F(SubmissionTest, SqlThatDoesNotParseIsNamed) {
  auto wrong = document();
  wrong["expand"][0]["sql"] = "ALTER TABLE users ADD COLUM display_name text";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  const auto& findings = plan.error().findings;
  const auto error = std::ranges::find(findings, "syntax-error", &core::Finding::rule);
  ASSERT_NE(error, findings.end());
  EXPECT_EQ(error->path, "/expand/0/sql");
  EXPECT_EQ(error->line, 1);
  EXPECT_EQ(error->column, 42);
}

TEST_F(SubmissionTest, RepeatedStepIdIsRefused) {
  auto wrong = document();
  wrong["backfill"][0]["id"] = "add";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  ASSERT_THAT(plan.error().errors, SizeIs(1));
  EXPECT_THAT(plan.error().errors.front().path, HasSubstr("/backfill/0"));
}

TEST_F(SubmissionTest, RefusingFindingsComeWithTheOthersAndCanBeAllowed) {
  auto wrong = document();
  wrong["expand"][0]["sql"] = "ALTER TABLE users DROP COLUMN name";
  const auto refused = examined(wrong);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().errors, IsEmpty());
  ASSERT_THAT(refused.error().findings, testing::Not(IsEmpty()));
  json allow;
  for (const auto& finding : refused.error().findings) {
    EXPECT_THAT(finding.path, HasSubstr("/expand/0/sql"));
    allow[finding.rule] = "nobody reads it";
  }
  wrong["expand"][0]["allow"] = allow;
  const auto examination = examined(wrong);
  ASSERT_TRUE(examination);
  EXPECT_EQ(examination->plan.steps.front().findings.front().allowed_because, "nobody reads it");
}

TEST_F(SubmissionTest, TheTargetIsAskedForWhatThePlanConcerns) {
  const auto examination = examined(document());
  ASSERT_TRUE(examination);
  EXPECT_EQ(examination->catalog_missing, "");
  EXPECT_EQ(main_.calls("catalog"), 1);
  EXPECT_THAT(main_.last_catalog_request().relations, Contains(core::RelationName{"", "users"}));
  EXPECT_EQ(reports_.calls(), 0);
}

TEST_F(SubmissionTest, TheAnalysisUsesTheCatalog) {
  auto plan = document();
  plan["expand"][0] = {{"id", "index"},
                       {"sql", "CREATE INDEX CONCURRENTLY i ON users (name)"},
                       {"undo", "DROP INDEX CONCURRENTLY IF EXISTS i"}};
  const auto blind = examined(plan);
  ASSERT_TRUE(blind);
  EXPECT_FALSE(blind->plan.steps.front().statements.front().estimate.has_value());

  core::CatalogRelation users;
  users.name = {"public", "users"};
  users.rows = 50'000;
  users.bytes = 8'000'000;
  users.columns = {{.name = "id", .type = "bigint", .base_type = "bigint", .not_null = true},
                   {.name = "name", .type = "text", .base_type = "text"},
                   {.name = "display_name", .type = "text", .base_type = "text"}};
  users.indexes = {{.name = "users_pkey", .columns = {"id"}, .uses = {}, .unique = true, .ordered = true}};
  core::CatalogSnapshot catalog;
  catalog.search_path = {"pg_catalog", "public"};
  catalog.relations = {users};
  main_.set_catalog(catalog);
  const auto seeing = examined(plan);
  ASSERT_TRUE(seeing);
  ASSERT_TRUE(seeing->plan.steps.front().statements.front().estimate.has_value());
  EXPECT_EQ(seeing->plan.steps.front().statements.front().estimate->rows, 50'000);
}

TEST_F(SubmissionTest, ATargetThatIsAwayIsNoReasonToRefuse) {
  main_.fail_next("catalog", ErrorCode::unavailable, 2);
  const auto examination = examined(document());
  ASSERT_TRUE(examination);
  EXPECT_EQ(examination->catalog_missing, "scripted unavailable");

  auto wrong = document();
  wrong["expand"][0]["sql"] = "ALTER TABLE users DROP COLUMN name";
  const auto refused = examined(wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().catalog_missing, "scripted unavailable");
}

}  // namespace
}  // namespace diastole::engine
