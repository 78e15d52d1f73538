// The gate of a whole daemon on a real PostgreSQL: sessions, fence, drain, quarantine, holds, overrides, admission.
#include <fmt/format.h>

#include <thread>

#include "support/daemon.hpp"
#include "support/plans.hpp"
#include "support/sql_session.hpp"

namespace diastole::test {
namespace {

class GateDaemonTest : public ::testing::Test {
 protected:
  GateDaemonTest()
      : daemon_({{"gate", "{ soak: 0s, scan_every: 100ms, drain_budget: 20s }"},
                 {"preflight", "{ long_transaction: 1h }"},
                 {"targets", "{ main: { dsn_file: main.dsn, tools: 'application_name=watcher' } }"}}) {
    // Roles belong to the cluster, not to the database.
    static int number = 0;
    old_role_ = fmt::format("api_v1_{}_{}", getpid(), ++number);
    new_role_ = fmt::format("api_v2_{}_{}", getpid(), number);
    sql(daemon_.main_dsn(), fmt::format("CREATE ROLE {} LOGIN; CREATE ROLE {} LOGIN;"
                                        "CREATE TABLE users (id bigint PRIMARY KEY, name text);"
                                        "INSERT INTO users VALUES (1, 'ann');"
                                        "GRANT ALL ON users TO {}, {}",
                                        old_role_, new_role_, old_role_, new_role_));
    daemon_.start();
  }
  ~GateDaemonTest() override {
    daemon_.end();
    sql(daemon_.main_dsn(), fmt::format("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {0}, {1}; DROP ROLE {0}, {1}",
                                        old_role_, new_role_));
  }

  // Drops users.name once api is at 2.0.0.
  json plan(const std::string& name, const json& gate = json::object()) {
    auto out = plan_of(name, {{"contract", json::array({step("drop", "ALTER TABLE users DROP COLUMN name",
                                                             "ALTER TABLE users ADD COLUMN name text")})}});
    out["fleet"] = json::array({{{"service", "api"},
                                 {"version", ">=2.0.0"},
                                 {"min_instances", 1},
                                 {"roles", {{old_role_, "1.0.0"}, {new_role_, "2.0.0"}}}}});
    out["gate"] = gate;
    return out;
  }
  void report(const std::string& version, const std::string& instance = "api-1") {
    daemon_.heartbeat({{"service", "api"}, {"instance", instance}, {"version", version}});
  }
  // api-1 goes on reporting 2.0.0 for as long as the thread is there.
  [[nodiscard]] std::jthread reporting() {
    return std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        report("2.0.0");
        std::this_thread::sleep_for(std::chrono::milliseconds{200});
      }
    });
  }
  json report_until(const std::string& plan, const std::string& kind) {
    const auto reporter = reporting();
    return daemon_.await_event(plan, kind);
  }
  void report_until_completed(const std::string& plan) {
    const auto reporter = reporting();
    EXPECT_EQ(daemon_.until(plan, "completed").at("stage"), "completed");
  }
  [[nodiscard]] std::string as(const std::string& role, const std::string& application = "") const {
    return fmt::format("{} user={} application_name='{}'", daemon_.main_dsn(), role, application);
  }
  [[nodiscard]] bool can_login(const std::string& role) const {
    return sql(daemon_.main_dsn(), "SELECT rolcanlogin FROM pg_roles WHERE rolname = '" + role + "'") == "t";
  }
  [[nodiscard]] std::string columns() const {
    return sql(daemon_.main_dsn(),
               "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'users'::regclass "
               "AND attnum > 0 AND NOT attisdropped");
  }
  json gate(const std::string& plan) { return daemon_.get("/v1/plans/main." + plan + "/gate").body; }

  Daemon daemon_;
  std::string old_role_;
  std::string new_role_;
};

TEST_F(GateDaemonTest, AnOldSessionThatNeverReportsKeepsTheGateClosedAndIsThenFencedOut) {
  SqlSession old(as(old_role_));
  ASSERT_EQ(daemon_.submit(plan("a", {{"terminate", true}})).status, 201);
  const auto reporter = reporting();
  const auto reason = daemon_.await_reason("a", "session_old");
  EXPECT_EQ(reason.at("pid"), old.pid());
  EXPECT_EQ(reason.at("version"), "1.0.0");
  EXPECT_EQ(columns(), "id name");
  sql(daemon_.main_dsn(), fmt::format("SELECT pg_terminate_backend({})", old.pid()));
  EXPECT_EQ(daemon_.until("a", "completed").at("stage"), "completed");
  EXPECT_EQ(columns(), "id");
  // What old code would need is gone, and it does not come in again.
  EXPECT_FALSE(can_login(old_role_));
  EXPECT_TRUE(can_login(new_role_));
  EXPECT_THROW(SqlSession{as(old_role_)}, std::runtime_error);
  EXPECT_TRUE(gate("a").at("guarantee").get<std::string>().starts_with("proof"));
}

TEST_F(GateDaemonTest, AnUndeclaredSessionBlocksAndAToolsDoesNot) {
  const SqlSession tool(as("postgres", "watcher"));
  auto psql = std::make_unique<SqlSession>(as("postgres", "psql"));
  ASSERT_EQ(daemon_.submit(plan("a")).status, 201);
  const auto reporter = reporting();
  EXPECT_EQ(daemon_.await_reason("a", "session_undeclared").at("pid"), psql->pid());
  psql.reset();
  EXPECT_EQ(daemon_.until("a", "completed").at("stage"), "completed");
}

TEST_F(GateDaemonTest, ARetiredVersionIsTurnedAwayAlsoAfterARestart) {
  const json old_version{{"service", "api"}, {"version", "1.9.0"}};
  EXPECT_EQ(daemon_.call("instance", "POST", "/v1/admission", old_version).status, 200);
  ASSERT_EQ(daemon_.submit(plan("a")).status, 201);
  report_until_completed("a");
  for (int i = 0; i < 2; ++i) {
    const auto refused = daemon_.call("instance", "POST", "/v1/admission", old_version);
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(refused.body.at("type"), "urn:diastole:problem:version-retired");
    EXPECT_EQ(refused.body.at("plan"), "main.a");
    const auto beat = daemon_.heartbeat({{"service", "api"}, {"instance", "api-9"}, {"version", "1.9.0"}});
    EXPECT_EQ(beat.status, 409) << beat.body;
    EXPECT_EQ(
        daemon_.call("instance", "POST", "/v1/admission", {{"service", "api"}, {"version", "2.0.0"}}).body.at("floor"),
        ">=2.0.0");
    const auto batch = daemon_.heartbeat(json::array({{{"service", "api"}, {"instance", "a"}, {"version", "1.0.0"}},
                                                      {{"service", "api"}, {"instance", "b"}, {"version", "2.0.0"}}}));
    EXPECT_EQ(batch.status, 200);
    ASSERT_EQ(batch.body.at("retired").size(), 1U);
    EXPECT_EQ(batch.body["retired"][0].at("instance"), "a");
    ASSERT_EQ(daemon_.end(), 0);
    daemon_.start();
  }
}

TEST_F(GateDaemonTest, AHoldBringsBackTheColumnAndTheLogins) {
  ASSERT_EQ(daemon_.submit(plan("a", {{"quarantine", "1h"}})).status, 201);
  const auto event = report_until("a", "quarantined");
  EXPECT_FALSE(can_login(old_role_));
  EXPECT_TRUE(columns().starts_with("id name__dropped_")) << columns();
  ASSERT_EQ(event.at("names").size(), 1U);
  EXPECT_TRUE(event["names"][0].get<std::string>().contains(" → name__dropped_")) << event;
  EXPECT_EQ(gate("a").at("progress").at("quarantined"), event["names"]);
  const auto held = daemon_.call("operator", "POST", "/v1/plans/main.a/gate/hold", {{"reason", "the shop is slow"}});
  ASSERT_EQ(held.status, 200) << held.body;
  daemon_.await_event("a", "fence_lowered");
  EXPECT_EQ(columns(), "id name");
  EXPECT_TRUE(can_login(old_role_));
  EXPECT_EQ(sql(daemon_.main_dsn(), "SELECT name FROM users"), "ann");
  EXPECT_EQ(daemon_.call("instance", "POST", "/v1/admission", {{"service", "api"}, {"version", "1.0.0"}}).status, 200);
  EXPECT_EQ(gate("a").at("state"), "held");
  EXPECT_EQ(daemon_.call("operator", "POST", "/v1/plans/main.a/gate/hold", {{"reason", "x"}}).status, 409);
  EXPECT_EQ(daemon_.call("operator", "POST", "/v1/plans/main.a/gate/hold", json::object()).body.at("path"), "/reason");
  EXPECT_EQ(daemon_.call("operator", "DELETE", "/v1/plans/main.a/gate/hold").status, 200);
}

TEST_F(GateDaemonTest, AnAbortInQuarantineLeavesEverythingAsItWas) {
  ASSERT_EQ(daemon_.submit(plan("a", {{"quarantine", "1h"}})).status, 201);
  report_until("a", "quarantined");
  EXPECT_EQ(daemon_.tell("a", "abort").status, 200);
  EXPECT_EQ(daemon_.until("a", "aborted").at("stage"), "aborted");
  EXPECT_EQ(columns(), "id name");
  EXPECT_TRUE(can_login(old_role_));
}

TEST_F(GateDaemonTest, WhatIsInQuarantineLongEnoughIsDropped) {
  ASSERT_EQ(daemon_.submit(plan("a", {{"quarantine", "1s"}})).status, 201);
  report_until_completed("a");
  EXPECT_EQ(columns(), "id");
}

TEST_F(GateDaemonTest, ADroppedTableWaitsInQuarantineToo) {
  auto drops = plan("a", {{"quarantine", "1s"}});
  sql(daemon_.main_dsn(), "CREATE TABLE legacy (id int PRIMARY KEY)");
  drops["contract"] = json::array({step("drop", "DROP TABLE legacy", no_undo())});
  ASSERT_EQ(daemon_.submit(drops).status, 201);
  report_until("a", "quarantined");
  EXPECT_EQ(sql(daemon_.main_dsn(), "SELECT to_regclass('legacy') IS NULL"), "t");
  report_until_completed("a");
  EXPECT_EQ(sql(daemon_.main_dsn(), "SELECT count(*) FROM pg_class WHERE relname LIKE 'legacy%' AND relkind = 'r'"),
            "0");
}

TEST_F(GateDaemonTest, AViewThatWouldFollowTheRenameIsFoundBeforehand) {
  ASSERT_EQ(daemon_.submit(plan("a", {{"quarantine", "1h"}})).status, 201);
  sql(daemon_.main_dsn(), "CREATE VIEW names AS SELECT name FROM users");
  const auto reporter = reporting();
  const auto reason = daemon_.await_reason("a", "quarantine_blocked");
  EXPECT_TRUE(reason.at("message").get<std::string>().contains("view public.names")) << reason;
  EXPECT_TRUE(can_login(old_role_)) << "before the fence";
  sql(daemon_.main_dsn(), "DROP VIEW names");
  daemon_.await_event("a", "quarantined");
}

// An old instance turns up when contract's first step is done and the drop waits for its lock.
TEST_F(GateDaemonTest, ContractsOwnStepsAreTakenBackAndRunAgain) {
  auto both = plan("a");
  both["contract"].insert(both["contract"].begin(), step("say", "COMMENT ON COLUMN users.id IS 'the only one'",
                                                         "COMMENT ON COLUMN users.id IS NULL"));
  SqlSession reader(as("postgres", "watcher"));
  reader.run("BEGIN; LOCK users IN ACCESS SHARE MODE");
  const auto comment = [this] { return sql(daemon_.main_dsn(), "SELECT col_description('users'::regclass, 1)"); };
  ASSERT_EQ(daemon_.submit(both).status, 201);
  const auto reporter = reporting();
  daemon_.await_event(
      "a", [](const json& event) { return event.at("kind") == "lock_waited" && event.at("step") == "drop"; });
  EXPECT_EQ(comment(), "the only one");
  report("1.0.0", "api-2");
  daemon_.await_event("a", "fence_lowered");
  EXPECT_EQ(comment(), "");
  EXPECT_EQ(columns(), "id name");
  reader.run("COMMIT");
  report("2.0.0", "api-2");
  std::jthread other([this](const std::stop_token& stop) {
    for (; !stop.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds{200}))
      report("2.0.0", "api-2");
  });
  EXPECT_EQ(daemon_.until("a", "completed").at("stage"), "completed");
  EXPECT_EQ(comment(), "the only one");
  EXPECT_EQ(columns(), "id");
}

TEST_F(GateDaemonTest, AnOverrideNeedsTwoPeople) {
  report("1.0.0", "api-9");
  ASSERT_EQ(daemon_.submit(plan("a")).status, 201);
  const auto reporter = reporting();
  daemon_.await_reason("a", "instance_unknown");
  const json asked{{"instances", json::array({{{"service", "api"}, {"instance", "api-9"}}})},
                   {"reason", "it burnt down"}};
  const std::string target = "/v1/plans/main.a/gate/overrides";
  EXPECT_EQ(daemon_.call("viewer", "POST", target, asked).status, 403);
  EXPECT_EQ(daemon_.call("operator", "POST", target, {{"reason", "x"}}).body.at("path"), "/instances");
  EXPECT_EQ(daemon_.call("operator", "POST", target, asked).status, 200);
  EXPECT_EQ(daemon_.call("operator", "POST", target, asked).status, 200) << "again is no second person";
  EXPECT_EQ(gate("a").at("services")[0].value("overridden", 0), 0);
  EXPECT_EQ(daemon_.call("admin", "POST", target, asked).status, 200);
  EXPECT_EQ(daemon_.until("a", "completed").at("stage"), "completed");
  const auto events = daemon_.get("/v1/plans/main.a/events").body.dump();
  EXPECT_TRUE(events.contains("override_confirmed") && events.contains("it burnt down"));
}

TEST_F(GateDaemonTest, TheMetricsAreWhatPrometheusReads) {
  ASSERT_EQ(daemon_.submit(plan("a", {{"quarantine", "1h"}})).status, 201);
  report_until("a", "quarantined");
  const auto text = daemon_.send("GET", "/metrics").body.get<std::string>();
  Process parser(Command{{"/usr/bin/python3", "-c",
                          "import sys\n"
                          "from prometheus_client.parser import text_string_to_metric_families as read\n"
                          "for family in read(sys.stdin.read()):\n"
                          "    for s in family.samples: print(s.name, sorted(s.labels.items()), s.value)\n"},
                         {},
                         text});
  ASSERT_EQ(parser.wait(), 0) << parser.err();
  const auto read = parser.out();
  EXPECT_TRUE(read.contains("diastole_gate_stage [('plan', 'main.a'), ('stage', 'quarantined')] 1.0")) << read;
  EXPECT_TRUE(read.contains("diastole_gate_sessions [('plan', 'main.a'), ('server', 'primary')]")) << read;
  EXPECT_TRUE(read.contains("diastole_gate_instances [('class', 'new'), ('plan', 'main.a'), ('service', 'api')] 1.0"))
      << read;
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
