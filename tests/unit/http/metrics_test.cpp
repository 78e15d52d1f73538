// The text that a monitoring system reads.
#include "metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sample_plan.hpp"

namespace diastole::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

core::PlanState backfilling() {
  core::PlanState state;
  state.plan = test::sample_plan();
  state.stage = core::Stage::backfilling;
  state.steps.resize(state.plan.steps.size());
  auto& copy = state.steps[test::kCopy];
  copy.status = core::StepStatus::running;
  copy.walk = core::Walk{};
  copy.progress = {.rows = 2'500'000,
                   .rows_changed = 2'000'000,
                   .rows_total = 10'000'000,
                   .pass = 1,
                   .rows_per_second = 1'250.5,
                   .eta = Milliseconds{6'500},
                   .share = 0.25};
  return state;
}

std::string metrics(const core::PlanState& state) {
  return metrics_text({std::make_shared<const core::PlanState>(state)});
}

TEST(MetricsTest, ABackfillIsMeasuredByPlanAndStep) {
  const auto text = metrics(backfilling());
  EXPECT_THAT(text, StartsWith("# HELP diastole_plans Unfinished plans.\n# TYPE diastole_plans gauge\n"));
  EXPECT_THAT(text, EndsWith("\n"));
  for (const auto* line : {R"(diastole_plans{stage="backfilling",condition="active"} 1)",
                           R"(diastole_plans{stage="backfilling",condition="failed"} 0)",
                           R"(diastole_backfill_rows{plan="main.rename",step="copy"} 2500000)",
                           R"(diastole_backfill_rows_changed{plan="main.rename",step="copy"} 2000000)",
                           R"(diastole_backfill_rows_estimate{plan="main.rename",step="copy"} 10000000)",
                           R"(diastole_backfill_share{plan="main.rename",step="copy"} 0.25)",
                           R"(diastole_backfill_rows_per_second{plan="main.rename",step="copy"} 1250.5)",
                           R"(diastole_backfill_left_seconds{plan="main.rename",step="copy"} 6.5)",
                           R"(diastole_backfill_paused{plan="main.rename",step="copy"} 0)",
                           "# TYPE diastole_backfill_left_seconds gauge"}) {
    EXPECT_THAT(text, HasSubstr("\n" + std::string(line) + "\n"));
  }
}

TEST(MetricsTest, WhatDoesNotRunHasNoRateAndNoEnd) {
  auto state = backfilling();
  auto& copy = state.steps[test::kCopy];
  copy.status = core::StepStatus::pending;
  copy.pace.paused = true;
  auto text = metrics(state);
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_rows_per_second{plan=\"main.rename\",step=\"copy\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_paused{plan=\"main.rename\",step=\"copy\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_rows{plan=\"main.rename\",step=\"copy\"} 2500000\n"));
  EXPECT_THAT(text, Not(HasSubstr("diastole_backfill_left_seconds{")));
  copy.pace.paused = false;
  state.condition = core::Condition::paused;
  text = metrics(state);
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_paused{plan=\"main.rename\",step=\"copy\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_plans{stage=\"backfilling\",condition=\"paused\"} 1\n"));
}

TEST(MetricsTest, WhatSlowsABackfillIsMeasured) {
  auto state = backfilling();
  auto text = metrics(state);
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_throttle_share{plan=\"main.rename\",step=\"copy\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("diastole_backfill_throttle_load{")));
  auto& copy = state.steps[test::kCopy];
  copy.progress.throttle.share = 0;
  copy.progress.throttle.reason = core::Signal{.kind = core::SignalKind::replica_lag, .load = 1.25, .detail = {}};
  text = metrics(state);
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_throttle_share{plan=\"main.rename\",step=\"copy\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_backfill_throttle_load{plan=\"main.rename\",step=\"copy\",signal=\"replica_"
                              "lag\"} 1.25\n"));
  copy.status = core::StepStatus::pending;
  EXPECT_THAT(metrics(state), Not(HasSubstr("_throttle_load{")));
}

TEST(MetricsTest, OnlyBackfillsUnderWayAreThere) {
  auto state = backfilling();
  state.steps[test::kCopy].status = core::StepStatus::done;
  EXPECT_THAT(metrics(state), Not(HasSubstr("main.rename")));
  state = backfilling();
  state.steps[test::kCopy].walk.reset();
  EXPECT_THAT(metrics(state), Not(HasSubstr("main.rename")));
  EXPECT_THAT(metrics_text({}), HasSubstr("\ndiastole_plans{stage=\"accepted\",condition=\"active\"} 0\n"));
}

std::string growing(const std::shared_ptr<const core::StatementAdvice>& advice, WallTime now) {
  engine::Gates gates;
  gates.advice = advice;
  const auto text = gate_metrics_text({{std::make_shared<const core::PlanState>(backfilling()), gates}}, now);
  const auto at = text.find("\ndiastole_gate_statements_growing{");
  return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

TEST(MetricsTest, QueriesThatGrewInTheLastTenMinutesAreCounted) {
  const WallTime now{std::chrono::hours{1'000}};
  core::StatementAdvice advice;
  EXPECT_EQ(growing(nullptr, now), "") << "nobody has looked";
  advice.missing = "pg_stat_statements is not installed in this database";
  EXPECT_EQ(growing(std::make_shared<core::StatementAdvice>(advice), now), "") << "nobody knows";
  advice.missing.clear();
  advice.statements.resize(3);
  advice.statements[0].last_grew = now - std::chrono::minutes{10};
  advice.statements[1].last_grew = now - std::chrono::minutes{11};
  EXPECT_EQ(growing(std::make_shared<core::StatementAdvice>(advice), now),
            R"(diastole_gate_statements_growing{plan="main.rename"} 1)");
}

TEST(MetricsTest, TheFleetIsCountedByServiceVersionAndClass) {
  core::FleetView fleet;
  fleet.suspect_after = Milliseconds{40'500};
  core::ServiceTally api;
  api.service = ServiceName("api");
  api.conflicts = 2;
  api.versions.push_back({"1.0.0", 3, 1, {}});
  api.versions.push_back({"a\\\"b", 0, 0, {}});
  api.versions.push_back({"c\"d", 1, 0, {}});
  fleet.services.push_back(api);
  const auto text = fleet_metrics_text(fleet, {.accepted = 9'000'000'000, .replayed = 5});
  EXPECT_THAT(text, HasSubstr("\ndiastole_fleet_instances{service=\"api\",version=\"1.0.0\",class=\"live\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_fleet_instances{service=\"api\",version=\"1.0.0\",class=\"silent\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(R"(version="c\"d",class="live"} 1)"));
  EXPECT_THAT(text, Not(HasSubstr("version=\"a"))) << "nobody runs it";
  EXPECT_THAT(text, HasSubstr("\ndiastole_fleet_conflicts{service=\"api\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_fleet_suspect_seconds 40.5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE diastole_heartbeats_total counter\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_heartbeats_total{result=\"accepted\"} 9000000000\n"));
  EXPECT_THAT(text, HasSubstr("\ndiastole_heartbeats_total{result=\"replayed\"} 5\n"));
}

}  // namespace
}  // namespace diastole::http
