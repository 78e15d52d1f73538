// A daemon's life: starting, stopping, restarting, being refused, and databases that go away under it.
#include <sys/socket.h>
#include <sys/un.h>

#include <future>

#include "support/daemon.hpp"
#include "support/plans.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

namespace fs = std::filesystem;

// 600 rows, 3 ms each, 20 a batch: long enough to be met in the middle, short enough to wait for.
const Daemon::Sections kSmallBatches{{"backfill", "{ batch_rows: 20, max_rows: 20, batch_target: 1s }"}};

void submit_slow_backfill(Daemon& daemon) {
  make_people(daemon.main_dsn(), "people", 600);
  sql(daemon.main_dsn(),
      "CREATE FUNCTION slowly(text) RETURNS text LANGUAGE sql AS $$ SELECT $1 FROM pg_sleep(0.003) $$");
  auto plan = rename("slow", "people");
  plan["backfill"][0]["set"] = {{"display_name", "slowly(name)"}};
  ASSERT_EQ(daemon.submit(plan).status, 201);
  daemon.await_event("slow", "step_progressed");
}

void expect_finished(Daemon& daemon) {
  const auto plan = daemon.until("slow", "completed");
  EXPECT_EQ(plan.at("stage"), "completed") << plan;
  EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM people WHERE display_name = 'name ' || id AND touched = 1"),
            "600");
}

std::string rows_done(const Daemon& daemon) {
  return sql(daemon.main_dsn(), "SELECT count(*) FROM people WHERE touched > 0");
}

bool await_ready(Daemon& daemon, int status) {
  return eventually([&] { return daemon.send("GET", "/readyz").status == status; });
}

// A database nobody can reach, until its object goes.
class Outage {
 public:
  explicit Outage(const std::string& dsn) : name_(sql(dsn, "SELECT current_database()")) {
    sql(cluster().dsn(), "ALTER DATABASE " + name_ + " ALLOW_CONNECTIONS false");
    sql(cluster().dsn(),
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '" + name_ + "'");
  }
  Outage(const Outage&) = delete;
  Outage& operator=(const Outage&) = delete;
  ~Outage() { sql(cluster().dsn(), "ALTER DATABASE " + name_ + " ALLOW_CONNECTIONS true"); }

 private:
  std::string name_;
};

int exit_of(Process& process) {
  return process.wait().value_or(-1);
}

TEST(LifecycleTest, StopsAmidABackfillAndGoesOnAfterARestart) {
  Daemon daemon(kSmallBatches);
  daemon.start();
  submit_slow_backfill(daemon);
  EXPECT_EQ(daemon.end(), 0);
  EXPECT_NE(rows_done(daemon), "600") << "it was not in the middle";
  daemon.start();
  EXPECT_EQ(daemon.await_event("slow", "step_interrupted").at("why"), "the daemon is stopping");
  expect_finished(daemon);
}

TEST(LifecycleTest, StopsAmidABlockedStatementAndLeavesNothingOfIt) {
  Daemon daemon({{"execution", "{ lock_timeout: 10s }"}});
  daemon.start();
  sql(daemon.main_dsn(), "CREATE TABLE t (id bigint PRIMARY KEY)");
  auto blocker = std::make_unique<OpenTransaction>(daemon.main_dsn(), "LOCK TABLE t IN ACCESS SHARE MODE");
  ASSERT_EQ(daemon.submit(add_column("blocked", "t")).status, 201);
  const auto waiting =
      "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE t %'";
  ASSERT_TRUE(eventually([&] { return !sql(daemon.main_dsn(), waiting).empty(); }));
  EXPECT_EQ(daemon.end(), 0);
  EXPECT_EQ(sql(daemon.main_dsn(), waiting), "");
  blocker.reset();
  EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM diastole.ledger"), "0");
  daemon.start();
  EXPECT_EQ(daemon.until("blocked", "completed").at("stage"), "completed");
}

TEST(LifecycleTest, AStopAnswersWhoeverWaits) {
  Daemon daemon({{"limits", "{ waiters: 1 }"}});
  daemon.start();
  auto plan = add_column("waiting", "t");
  plan["approvals"] = {{"expand", 1}};
  ASSERT_EQ(daemon.submit(plan).status, 201);
  const auto poll = [port = daemon.port()](const std::string& wait) {
    return http::send("127.0.0.1", port,
                      {"GET",
                       "/v1/plans/main.waiting?until=completed&wait=" + wait,
                       {{"Authorization", "Bearer " + token_of("viewer")}},
                       "",
                       milliseconds{60'000}});
  };
  auto waiting = std::async(std::launch::async, [&] {
    auto answer = poll("60s");
    while (answer && answer->status == 429) answer = poll("60s");
    return answer;
  });
  // There is room for one: when we are turned away, the other waits.
  ASSERT_TRUE(eventually([&] { return poll("1ms").value().status == 429; }));
  EXPECT_EQ(daemon.end(), 0);
  const auto answer = waiting.get();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(json::parse(answer->body).at("stage"), "accepted");
}

TEST(LifecycleTest, PostgresqlRestartsUnderAnIdleDaemon) {
  Daemon daemon;
  daemon.start();
  sql(daemon.main_dsn(), "CREATE TABLE t (id bigint PRIMARY KEY)");
  ASSERT_TRUE(cluster().kill_immediate());
  const auto refused = daemon.submit(add_column("refused", "t"));
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_EQ(refused.headers.at("content-type"), "application/problem+json");
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  EXPECT_EQ(daemon.get("/v1/plans").status, 503);
  EXPECT_TRUE(await_ready(daemon, 503));
  EXPECT_EQ(daemon.send("GET", "/livez").status, 200);
  ASSERT_TRUE(cluster().start_again());
  EXPECT_TRUE(await_ready(daemon, 200));
  EXPECT_EQ(daemon.run(add_column("taken", "t")).at("stage"), "completed");
}

TEST(LifecycleTest, PostgresqlCrashesAmidABackfill) {
  Daemon daemon(kSmallBatches);
  daemon.start();
  submit_slow_backfill(daemon);
  ASSERT_TRUE(cluster().kill_immediate());
  EXPECT_TRUE(await_ready(daemon, 503));
  ASSERT_TRUE(cluster().start_again());
  EXPECT_NE(rows_done(daemon), "600") << "it was not in the middle";
  EXPECT_TRUE(await_ready(daemon, 200));
  expect_finished(daemon);
}

TEST(LifecycleTest, WithoutItsStateNothingRuns) {
  Daemon daemon(kSmallBatches);
  daemon.start();
  submit_slow_backfill(daemon);
  {
    const Outage outage(daemon.state_dsn());
    EXPECT_TRUE(await_ready(daemon, 503));
    EXPECT_EQ(daemon.tell("slow", "pause").status, 503);
    // What was in hand has come to its end when its session is at rest.
    const auto at_work =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'diastole/%' AND state <> 'idle' AND "
        "datname = current_database()";
    ASSERT_TRUE(eventually([&] { return sql(daemon.main_dsn(), at_work) == "0"; }));
    const auto done = rows_done(daemon);
    EXPECT_NE(done, "600") << "it was not in the middle";
    (void)daemon.get("/v1/plans/main.slow?until=completed&wait=500ms");
    EXPECT_EQ(rows_done(daemon), done);
  }
  EXPECT_TRUE(await_ready(daemon, 200));
  expect_finished(daemon);
}

TEST(LifecycleTest, ATargetThatIsAwayIsWaitedFor) {
  Daemon daemon(kSmallBatches);
  daemon.start();
  submit_slow_backfill(daemon);
  {
    const Outage outage(daemon.main_dsn());
    const auto reason = daemon.await_reason("slow", "retrying");
    EXPECT_TRUE(reason.at("message").get<std::string>().starts_with("target main: ")) << reason;
    EXPECT_EQ(daemon.send("GET", "/readyz").status, 200);
  }
  expect_finished(daemon);
}

TEST(LifecycleTest, ASecondDaemonIsRefusedAndTold) {
  Daemon daemon;
  daemon.start();
  Process second({{program("diastoled"), "--config", daemon.config().string()}});
  EXPECT_EQ(exit_of(second), 1);
  EXPECT_TRUE(second.err().contains(fmt::format("pid {} since ", daemon.process().pid()))) << second.err();
  EXPECT_EQ(daemon.send("GET", "/readyz").status, 200);
}

TEST(LifecycleTest, ASuccessorWaitsForTheLeaseAndTakesOver) {
  Daemon daemon;
  daemon.start();
  Process second({{program("diastoled"), "--config", daemon.config().string()}});
  // It has met the lease when its session has asked for it.
  ASSERT_TRUE(eventually([&] {
    return sql(daemon.state_dsn(),
               "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'diastole/state%' AND datname = "
               "current_database()") != "1";
  }));
  EXPECT_EQ(daemon.end(SIGKILL), 128 + SIGKILL);
  const auto ready = second.await_line([](const std::string& line) { return line.contains("\"ready\""); });
  EXPECT_EQ(json::parse(ready).at("epoch"), "2");
  second.signal(SIGTERM);
  EXPECT_EQ(exit_of(second), 0);
}

TEST(LifecycleTest, ANewerSchemaIsRefused) {
  Daemon daemon;
  daemon.start();
  EXPECT_EQ(daemon.end(), 0);
  sql(daemon.state_dsn(),
      "INSERT INTO diastole.schema_version (component, version, name) VALUES ('state', 99, 'future')");
  Process newer({{program("diastoled"), "--config", daemon.config().string()}});
  EXPECT_EQ(exit_of(newer), 1);
  EXPECT_TRUE(newer.err().contains("version 99 of component state")) << newer.err();
}

TEST(LifecycleTest, AStateThatCannotBeReachedIsToldWithoutItsDsn) {
  const Daemon files({{"state", "{ dsn_file: away.dsn }"}});
  Process daemon({{program("diastoled"), "--config", files.config().string()}});
  EXPECT_EQ(exit_of(daemon), 1);
  EXPECT_TRUE(daemon.err().contains("the state database")) << daemon.err();
  EXPECT_FALSE(daemon.err().contains("planted")) << daemon.err();
}

TEST(LifecycleTest, APortInUseIsTold) {
  Daemon first;
  first.start();
  const Daemon files({{"listen", fmt::format("{{ port: {} }}", first.port())}});
  Process second({{program("diastoled"), "--config", files.config().string()}});
  EXPECT_EQ(exit_of(second), 1);
  EXPECT_TRUE(second.err().contains(fmt::to_string(first.port()))) << second.err();
}

// systemd's side of Type=notify.
class NotifySocket {
 public:
  NotifySocket() {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
      throw std::runtime_error("cannot bind");
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket() { close(socket_); }
  [[nodiscard]] std::string path() const { return (directory_.path() / "notify").string(); }
  [[nodiscard]] std::string next() const {
    std::array<char, 256> text{};
    const auto size = recv(socket_, text.data(), text.size(), 0);
    return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }

 private:
  TemporaryDirectory directory_;
  int socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST(LifecycleTest, TellsSystemdWhatItDoes) {
  const NotifySocket systemd;
  Daemon daemon({}, {"NOTIFY_SOCKET=" + systemd.path(), "WATCHDOG_USEC=200000"});
  daemon.start();
  EXPECT_EQ(systemd.next(), "READY=1");
  EXPECT_EQ(systemd.next(), "WATCHDOG=1");
  EXPECT_EQ(systemd.next(), "WATCHDOG=1");
  EXPECT_EQ(daemon.end(), 0);
  auto last = systemd.next();
  while (last == "WATCHDOG=1") last = systemd.next();
  EXPECT_EQ(last, "STOPPING=1");
}

struct DevRun {
  explicit DevRun(std::vector<std::string> more = {}) : process(command(std::move(more))) {
    const auto line = process.await_line([](const std::string& text) { return text.starts_with("diastoled ready: "); });
    const auto url = line.substr(17, line.find(' ', 17) - 17);
    port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    dsn = line.substr(line.find("main: ") + 6);
  }
  static Command command(std::vector<std::string> more) {
    Command out{{program("diastoled"), "--dev", "--listen", "127.0.0.1:0"}};
    out.arguments.insert(out.arguments.end(), more.begin(), more.end());
    return out;
  }
  [[nodiscard]] json call(const std::string& method, const std::string& target, const json& body = {}) const {
    const auto answer = http::send("127.0.0.1", port,
                                   {method,
                                    target,
                                    {{"Content-Type", "application/json"}},
                                    body.is_null() ? "" : body.dump(),
                                    milliseconds{60'000}});
    if (!answer) throw std::runtime_error(answer.error().message);
    return json::parse(answer->body);
  }
  [[nodiscard]] fs::path socket_directory() const { return dsn.substr(5, dsn.find(' ') - 5); }

  Process process;
  std::uint16_t port = 0;
  std::string dsn;
};

TEST(DevTest, RunsOnAPostgresqlOfItsOwnThatGoesWithIt) {
  DevRun dev;
  sql(dev.dsn, "CREATE TABLE t (id bigint PRIMARY KEY)");
  EXPECT_EQ(dev.call("POST", "/v1/plans", add_column("dev", "t")).at("submitted_by"), "dev");
  EXPECT_EQ(dev.call("GET", "/v1/plans/main.dev?until=completed&wait=30s").at("stage"), "completed");
  const auto rebound = http::send("127.0.0.1", dev.port, {"GET", "/v1/plans", {}, "", milliseconds{5'000}});
  ASSERT_TRUE(rebound);
  EXPECT_EQ(rebound->status, 200);
  ASSERT_TRUE(fs::exists(dev.socket_directory()));
  dev.process.signal(SIGTERM);
  EXPECT_EQ(exit_of(dev.process), 0);
  EXPECT_FALSE(fs::exists(dev.socket_directory()));
  EXPECT_THROW(sql(dev.dsn, "SELECT 1"), pqxx::broken_connection);
}

TEST(DevTest, KeepsItsStateWhereItIsToldTo) {
  const TemporaryDirectory directory;
  fs::permissions(directory.path(), fs::perms::all);  // the server runs as another user where we are root
  const std::vector<std::string> data{"--data", (directory.path() / "data").string()};
  {
    DevRun dev(data);
    sql(dev.dsn, "CREATE TABLE t (id bigint PRIMARY KEY)");
    EXPECT_EQ(dev.call("POST", "/v1/plans", add_column("kept", "t")).at("id"), "main.kept");
    EXPECT_EQ(dev.call("GET", "/v1/plans/main.kept?until=completed&wait=30s").at("stage"), "completed");
    dev.process.signal(SIGINT);
    EXPECT_EQ(exit_of(dev.process), 0);
  }
  DevRun again(data);
  EXPECT_EQ(again.call("GET", "/v1/plans/main.kept").at("stage"), "completed");
  EXPECT_EQ(sql(again.dsn, "SELECT count(*) FROM information_schema.columns WHERE table_name = 't'"), "2");
  again.process.signal(SIGTERM);
  EXPECT_EQ(exit_of(again.process), 0);
}

TEST(DevTest, ListensOnLoopbackOnly) {
  Process dev({{program("diastoled"), "--dev", "--listen", "0.0.0.0:0"}});
  EXPECT_EQ(exit_of(dev), 2);
  EXPECT_TRUE(dev.err().contains("127.0.0.1")) << dev.err();
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
