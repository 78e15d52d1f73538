#include "diastole/engine/submission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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

std::expected<core::Plan, Refusal> examined(const json& document) {
  return examine(document, {}, {TargetName("main"), TargetName("reports")});
}

TEST(SubmissionTest, GoodDocumentBecomesItsPlan) {
  const auto plan = examined(document());
  ASSERT_TRUE(plan) << plan.error().errors.front().message;
  EXPECT_EQ(plan->id, PlanId("main.users-display-name"));
  ASSERT_THAT(plan->steps, SizeIs(6)) << "the recipe of set_not_null has four";
  EXPECT_EQ(plan->steps.front().statements.front().kind, "ALTER TABLE");
}

TEST(SubmissionTest, UnknownTargetIsNamedBesideTheKnownOnes) {
  auto wrong = document();
  wrong["target"] = "mian";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  ASSERT_THAT(plan.error().errors, SizeIs(1));
  EXPECT_EQ(plan.error().errors.front().path, "/target");
  EXPECT_THAT(plan.error().errors.front().message, HasSubstr("mian"));
  EXPECT_THAT(plan.error().errors.front().message, HasSubstr("main, reports"));
}

TEST(SubmissionTest, EveryErrorOfFormHasItsPath) {
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
}

TEST(SubmissionTest, SqlThatDoesNotParseIsNamed) {
  auto wrong = document();
  wrong["expand"][0]["sql"] = "ALTER TABLE users ADD COLUM display_name text";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  ASSERT_THAT(plan.error().errors, SizeIs(1));
  EXPECT_EQ(plan.error().errors.front().path, "/expand/0/sql");
  EXPECT_THAT(plan.error().errors.front().message, HasSubstr("line 1"));
}

TEST(SubmissionTest, RepeatedStepIdIsRefused) {
  auto wrong = document();
  wrong["backfill"][0]["id"] = "add";
  const auto plan = examined(wrong);
  ASSERT_FALSE(plan);
  ASSERT_THAT(plan.error().errors, SizeIs(1));
  EXPECT_THAT(plan.error().errors.front().path, HasSubstr("/backfill/0"));
}

TEST(SubmissionTest, RefusingFindingsComeWithTheOthersAndCanBeAllowed) {
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
  const auto plan = examined(wrong);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->steps.front().findings.front().allowed_because, "nobody reads it");
}

}  // namespace
}  // namespace diastole::engine
