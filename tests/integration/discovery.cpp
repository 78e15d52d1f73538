// A daemon that finds instances by itself and asks them, and the gate that opens by what they say.
#include <fmt/format.h>

#include <atomic>

#include "diastole/http/server.hpp"
#include "support/daemon.hpp"
#include "support/fakes.hpp"
#include "support/plans.hpp"

namespace diastole::test {
namespace {

// The version endpoint of an instance, on a free port.
class VersionEndpoint : public http::Handler {
 public:
  VersionEndpoint() {
    auto server = http::Server::listen({"127.0.0.1", 0}, {}, *this, log_);
    if (!server) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    server_->start();
  }
  ~VersionEndpoint() override { server_->stop(milliseconds{0}); }
  VersionEndpoint(const VersionEndpoint&) = delete;
  VersionEndpoint& operator=(const VersionEndpoint&) = delete;

  [[nodiscard]] std::string place() const { return fmt::format("127.0.0.1:{}", server_->port()); }
  void deploy(int major) { major_ = major; }

  std::optional<http::Response> handle_inline(const http::Request& request) override {
    http::Response response;
    if (request.path != std::vector<std::string>{"internal", "info"}) response.status = 404;
    response.body = json{{"build", {{"version", fmt::format("{}.0.0", major_.load())}}}}.dump();
    return response;
  }
  http::Answer handle(const http::Request&) override { return http::Response{}; }
  bool privileged(const http::Request&) override { return false; }

 private:
  CollectingLog log_;
  std::atomic<int> major_ = 1;
  std::unique_ptr<http::Server> server_;
};

Daemon::Sections polling(const std::string& source) {
  return {
      {"fleet", "{ heartbeat: 1s, suspect_after: 2s }"},
      {"services",
       fmt::format("{{ api: {{ {}, path: /internal/info, pointer: /build/version, interval: 200ms, timeout: 1s }} }}",
                   source)}};
}

json await_instance(Daemon& daemon, const std::function<bool(const json&)>& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  json seen;
  while (std::chrono::steady_clock::now() < deadline) {
    seen = daemon.get("/v1/services/api/instances").body.at("instances");
    for (const auto& instance : seen) {
      if (wanted(instance)) return instance;
    }
    std::this_thread::sleep_for(milliseconds{50});
  }
  throw std::runtime_error("no such instance: " + seen.dump() + daemon.seen());
}

TEST(DiscoveryTest, AnInstanceThatIsAskedOpensTheGateWhenItRunsTheNewVersion) {
  VersionEndpoint endpoint;
  Daemon daemon(polling(fmt::format("static: '{}'", endpoint.place())));
  daemon.start();
  const auto instance = await_instance(daemon, [](const json& one) { return one.at("version") == "1.0.0"; });
  EXPECT_EQ(instance.at("instance"), endpoint.place());
  EXPECT_EQ(instance.at("state"), "live");
  EXPECT_EQ(instance.at("source"), "poll");
  EXPECT_EQ(instance.at("listed"), true);

  sql(daemon.main_dsn(), "CREATE TABLE t (id bigint PRIMARY KEY, old text)");
  auto plan = plan_of("drop", {{"contract", json::array({step("drop", "ALTER TABLE t DROP COLUMN old", no_undo())})}});
  plan["fleet"] = json::array({{{"service", "api"}, {"version", ">=2.0.0"}}});
  ASSERT_EQ(daemon.submit(plan).status, 201);
  EXPECT_EQ(daemon.await_reason("drop", "instance_old").at("instance"), endpoint.place());
  endpoint.deploy(2);
  EXPECT_EQ(daemon.until("drop", "completed").at("stage"), "completed");
  EXPECT_EQ(daemon.end(), 0);
}

TEST(DiscoveryTest, WhatIsListedAndDoesNotAnswerBlocksTheGate) {
  Daemon daemon(polling("file_sd: api.json"));
  daemon.directory().write("api.json", R"([{"targets":["127.0.0.1:1"],"labels":{"diastole_instance":"api-1"}}])");
  daemon.start();
  await_instance(daemon, [](const json& one) { return one.at("instance") == "api-1"; });
  sql(daemon.main_dsn(), "CREATE TABLE t (id bigint PRIMARY KEY, old text)");
  auto plan = plan_of("drop", {{"contract", json::array({step("drop", "ALTER TABLE t DROP COLUMN old", no_undo())})}});
  ASSERT_EQ(daemon.submit(plan).status, 201);
  EXPECT_EQ(daemon.await_reason("drop", "instance_unknown").at("instance"), "api-1");
  EXPECT_EQ(daemon.end(), 0);
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
