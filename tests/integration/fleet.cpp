// Heartbeats, services and instances of a whole daemon, and the gate that they open.
#include "support/daemon.hpp"
#include "support/plans.hpp"

namespace diastole::test {
namespace {

class FleetTest : public ::testing::Test {
 protected:
  // Long enough that no instance falls silent while a test runs.
  static void SetUpTestSuite() {
    daemon_ = std::make_unique<Daemon>(Daemon::Sections{{"fleet", "{ heartbeat: 10s, suspect_after: 20s }"},
                                                        {"limits", "{ heartbeat_bytes: 256, batch_bytes: 2048 }"}});
    daemon_->start();
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(daemon_->end(), 0);
    daemon_.reset();
  }

  static json beat(const std::string& service, const std::string& instance, const std::string& version) {
    return {{"service", service}, {"instance", instance}, {"version", version}};
  }
  static std::string problem_path(const json& heartbeats) {
    const auto answer = daemon_->heartbeat(heartbeats);
    EXPECT_EQ(answer.status, 422) << answer.body;
    EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
    return answer.body.value("path", "none");
  }
  static json instances(const std::string& service, const std::string& query = {}) {
    return daemon_->get("/v1/services/" + service + "/instances" + query).body;
  }
  static Answer remove(const std::string& who, const std::string& service, const std::string& instance,
                       const std::string& query = {}) {
    return daemon_->call(who, "DELETE", "/v1/services/" + service + "/instances/" + instance + query);
  }
  static bool has_reason(const json& gate, const std::string& kind, const std::string& instance) {
    return std::ranges::any_of(gate.at("reasons"), [&](const json& reason) {
      return reason.at("kind") == kind && reason.value("instance", "") == instance;
    });
  }

  static inline std::unique_ptr<Daemon> daemon_;
};

TEST_F(FleetTest, AHeartbeatIsTakenAndSaysWhenToSendTheNext) {
  const auto answer = daemon_->heartbeat(beat("single", "one", "1.2.3"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_GE(answer.body.at("next_in_ms"), 8'000);
  EXPECT_LE(answer.body.at("next_in_ms"), 12'000);
  EXPECT_TRUE(answer.body.at("floor").is_null());
  const auto seen = instances("single").at("instances");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen.at(0).at("instance"), "one");
  EXPECT_EQ(seen.at(0).at("version"), "1.2.3");
  EXPECT_EQ(seen.at(0).at("state"), "live");
}

TEST_F(FleetTest, ABatchCountsEachAndInstancesArePaged) {
  json batch = json::array();
  for (const char* instance : {"c", "a", "e", "b", "d"}) batch.push_back(beat("paged", instance, "2.0.0"));
  EXPECT_EQ(daemon_->heartbeat(batch).body.at("accepted"), 5);
  std::string names;
  std::string query = "?limit=2";
  while (true) {
    const auto page = instances("paged", query);
    for (const auto& instance : page.at("instances")) names += instance.at("instance").get<std::string>();
    if (!page.contains("next")) break;
    query = "?limit=2&after=" + page.at("next").get<std::string>();
  }
  EXPECT_EQ(names, "abcde");
  const auto services = daemon_->get("/v1/services").body.at("services");
  const auto paged = std::ranges::find_if(services, [](const json& one) { return one.at("service") == "paged"; });
  ASSERT_NE(paged, services.end());
  EXPECT_EQ(paged->at("versions"), (json::array({{{"version", "2.0.0"}, {"live", 5}, {"silent", 0}}})));
}

TEST_F(FleetTest, ABadHeartbeatIsToldWhereAndTakesNoneOfItsBatch) {
  auto bad = beat("bad", "one", "1.0.0");
  bad["color"] = "red";
  EXPECT_EQ(problem_path(bad), "/color");
  EXPECT_EQ(problem_path(json::array({beat("bad", "one", "1.0.0"), beat("bad", "two words", "1.0.0")})), "/1/instance");
  EXPECT_EQ(problem_path(beat("Bad", "one", "1.0.0")), "/service");
  EXPECT_EQ(problem_path({{"service", "bad"}, {"instance", "one"}}), "/version");
  auto sequence = beat("bad", "one", "1.0.0");
  sequence["sequence"] = -1;
  EXPECT_EQ(problem_path(sequence), "/sequence");
  EXPECT_TRUE(instances("bad").at("instances").empty());
}

TEST_F(FleetTest, TooLargeIsRefused) {
  auto large = beat("large", "one", "1.0.0");
  large["incarnation"] = std::string(250, 'x');
  EXPECT_EQ(daemon_->heartbeat(large).status, 413);
  json batch = json::array();
  while (batch.dump().size() <= 2048) batch.push_back(beat("large", "one", "1.0.0"));
  EXPECT_EQ(daemon_->heartbeat(batch).status, 413);
}

TEST_F(FleetTest, AReplayCountsForNothing) {
  auto old = beat("replayed", "one", "1.0.0");
  old["incarnation"] = "boot-1";
  old["sequence"] = 7;
  auto present = old;
  present["version"] = "2.0.0";
  present["sequence"] = 8;
  EXPECT_EQ(daemon_->heartbeat(json::array({old, present})).body.at("accepted"), 2);
  EXPECT_EQ(daemon_->heartbeat(old).body.at("accepted"), 0);
  EXPECT_EQ(instances("replayed").at("instances").at(0).at("version"), "2.0.0");
  // Another process of the same name begins anew, and does not replace the first, which may still run.
  old["incarnation"] = "boot-2";
  EXPECT_EQ(daemon_->heartbeat(old).body.at("accepted"), 1);
  const auto both = instances("replayed").at("instances");
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both.at(0).at("version"), "2.0.0");
  EXPECT_EQ(both.at(1).at("version"), "1.0.0");
  EXPECT_EQ(both.at(1).at("incarnation"), "boot-2");
  EXPECT_EQ(both.at(1).at("source"), "heartbeat");
  EXPECT_EQ(both.at(1).at("listed"), false);
}

TEST_F(FleetTest, AnInstanceSignsOffAndAnOperatorSaysWhy) {
  daemon_->heartbeat(json::array({beat("leaving", "one", "1.0.0"), beat("leaving", "two", "1.0.0")}));
  EXPECT_EQ(remove("instance", "leaving", "one").status, 204);
  EXPECT_EQ(remove("instance", "leaving", "one").status, 404);
  const auto silent = remove("operator", "leaving", "two");
  EXPECT_EQ(silent.status, 422);
  EXPECT_EQ(silent.body.at("path"), "reason");
  EXPECT_EQ(remove("operator", "leaving", "two", "?reason=host%20lost").status, 204);
  EXPECT_TRUE(instances("leaving").at("instances").empty());
}

TEST_F(FleetTest, TheGateNamesEveryInstanceThatHoldsIt) {
  sql(daemon_->main_dsn(), "CREATE TABLE gated (id bigint PRIMARY KEY, old text)");
  auto plan =
      plan_of("gated", {{"contract", json::array({step("drop", "ALTER TABLE gated DROP COLUMN old", no_undo())})}});
  plan["fleet"] = json::array({{{"service", "gated"}, {"version", ">=2.0.0"}, {"min_instances", 2}}});
  const auto beats = [](const std::string& b, const std::string& c) {
    return json::array({beat("gated", "a", "2.0.0"), beat("gated", "b", b), beat("gated", "c", c)});
  };
  EXPECT_EQ(daemon_->heartbeat(beats("1.9.0", "latest")).status, 200);
  ASSERT_EQ(daemon_->submit(plan).status, 201);
  const auto gate = daemon_->get("/v1/plans/main.gated/gate").body;
  EXPECT_EQ(gate.at("state"), "collecting");
  EXPECT_TRUE(has_reason(gate, "instance_old", "b")) << gate;
  EXPECT_TRUE(has_reason(gate, "version_unparsable", "c")) << gate;
  EXPECT_TRUE(has_reason(gate, "too_few_instances", "")) << gate;
  EXPECT_TRUE(has_reason(gate, "watching", "")) << gate;

  EXPECT_EQ(daemon_->heartbeat(beats("2.0.0", "2.1.0")).status, 200);
  const auto later = daemon_->get("/v1/plans/main.gated/gate").body;
  EXPECT_FALSE(has_reason(later, "instance_old", "b")) << later;
  EXPECT_FALSE(has_reason(later, "version_unparsable", "c")) << later;
  EXPECT_EQ(later.at("services").at(0).at("new"), 3);
  EXPECT_EQ(daemon_->tell("gated", "abort").status, 200);
}

// With an instance that reports once: when suspect_after is over, it is unknown, and only its end clears that.
TEST(SilentFleetTest, ASilentInstanceHoldsContractUntilItIsDecommissioned) {
  Daemon daemon;
  daemon.start();
  sql(daemon.main_dsn(), "CREATE TABLE t (id bigint PRIMARY KEY, old text)");
  auto plan = plan_of("drop", {{"contract", json::array({step("drop", "ALTER TABLE t DROP COLUMN old", no_undo())})}});
  EXPECT_EQ(daemon.heartbeat({{"service", "api"}, {"instance", "lost"}, {"version", "2.0.0"}}).status, 200);
  ASSERT_EQ(daemon.submit(plan).status, 201);
  const auto reason = daemon.await_reason("drop", "instance_unknown");
  EXPECT_EQ(reason.at("instance"), "lost");
  // Known and silent after a restart too: forgetting it would open the gate.
  EXPECT_EQ(daemon.end(), 0);
  daemon.start();
  const auto gate = daemon.get("/v1/plans/main.drop/gate").body;
  EXPECT_EQ(gate.at("services").at(0).at("unknown"), 1) << gate;
  EXPECT_EQ(daemon.call("operator", "DELETE", "/v1/services/api/instances/lost?reason=gone").status, 204);
  EXPECT_EQ(daemon.until("drop", "completed").at("stage"), "completed");
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
