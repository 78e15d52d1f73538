// Who is connected to a target's servers, on a real PostgreSQL with a standby, and the end of those who must go.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>

#include "support/standby.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

using core::Session;
using core::SessionScan;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class SessionsTest : public TargetTest {
 protected:
  // A role of this test's own: roles belong to the whole cluster.
  std::string make_role(const std::string& name, const std::string& attributes = "LOGIN") {
    auto role = name + "_" + database_;
    run("CREATE ROLE " + role + " " + attributes);
    return role;
  }
  [[nodiscard]] std::string as(const std::string& role, const std::string& application = "api@1.0.0") const {
    return fmt::format("{} user={} application_name='{}'", dsn_, role, application);
  }
  [[nodiscard]] std::unique_ptr<ports::Target> target_as(const std::string& role) {
    return postgres::make_target(TargetName{"main"}, dsn_ + " user=" + role, kOwner, log_);
  }
  [[nodiscard]] std::unique_ptr<ports::Target> with_replicas(const std::vector<std::string>& replicas) {
    return postgres::make_target(TargetName{"main"}, dsn_, kOwner, log_, {}, replicas);
  }
  [[nodiscard]] static SessionScan look(ports::Target& target, std::vector<std::string> roles = {}) {
    return expect_ok(target.sessions({.plan = PlanId{"main.test"}, .roles = std::move(roles)}));
  }
  [[nodiscard]] static std::optional<Session> find(const SessionScan& scan, const std::string& role,
                                                   const std::string& server = "primary") {
    const auto found = std::ranges::find_if(
        scan.sessions, [&](const Session& session) { return session.role == role && session.server == server; });
    if (found == scan.sessions.end()) return std::nullopt;
    return *found;
  }

  const std::string database_ = value("SELECT current_database()");
};

TEST_F(SessionsTest, SeesClientsOfThisDatabaseAndNoneOfOurs) {
  const auto role = make_role("api");
  const pqxx::connection old(as(role, "api@1.0.0/a-1"));
  const pqxx::connection elsewhere(cluster().dsn() + " user=" + role);
  const pqxx::connection disguised(as(make_role("sly"), "diastole/1/0123456789abcdef/x"));
  const pqxx::connection ours(dsn_ + " application_name='diastole: target main'");
  const auto scan = look(*target_);
  ASSERT_EQ(scan.servers.size(), 1U);
  EXPECT_EQ(scan.servers[0].server, "primary");
  EXPECT_TRUE(scan.complete()) << scan.servers[0].failed;
  EXPECT_FALSE(scan.quarantined_for);
  const auto seen = find(scan, role);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->application_name, "api@1.0.0/a-1");
  EXPECT_EQ(seen->database, database_);
  EXPECT_EQ(seen->pid, old.backendpid());
  EXPECT_EQ(fmt::to_string(seen->started_us),
            value(fmt::format("SELECT (extract(epoch FROM backend_start) * 1000000)::bigint FROM pg_stat_activity "
                              "WHERE pid = {}",
                              old.backendpid())));
  EXPECT_LE(std::abs(seen->started_us / 1000 - seen->since.time_since_epoch().count()), 1);
  EXPECT_TRUE(seen->prepared.empty());
  // The name alone makes nobody one of ours.
  EXPECT_TRUE(find(scan, "sly_" + database_));
  // Beside those there is only admin_, undeclared as psql would be.
  EXPECT_EQ(scan.sessions.size(), 3U);
  EXPECT_EQ(find(scan, "postgres")->pid, admin_.backendpid());
}

// Parallel workers run for a session that is seen itself.
TEST_F(SessionsTest, ParallelWorkersAreNoSessionsOfTheirOwn) {
  const auto role = make_role("api");
  run("CREATE TABLE t AS SELECT generate_series(1, 1000) n; GRANT SELECT ON t TO " + role);
  auto query = std::async(std::launch::async, [&] {
    pqxx::connection connection(as(role));
    pqxx::nontransaction session(connection);
    session.exec(
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; "
        "SET force_parallel_mode = on");
    session.exec("SELECT count(pg_sleep(0.0005)) FROM t");
  });
  ASSERT_TRUE(eventually(
      [&] { return count("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'") > 0; }));
  const auto scan = look(*target_);
  EXPECT_EQ(std::ranges::count(scan.sessions, role, &Session::role), 1);
  query.get();
}

TEST_F(SessionsTest, SeesPreparedTransactions) {
  const auto role = make_role("api");
  {
    pqxx::connection connection(as(role));
    pqxx::nontransaction(connection).exec("BEGIN; SELECT 1; PREPARE TRANSACTION 'orders-17'");
  }
  const auto scan = look(*target_);
  const auto seen = find(scan, role);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->prepared, "orders-17");
  EXPECT_EQ(seen->pid, 0);
  EXPECT_EQ(seen->database, database_);
  EXPECT_EQ(expect_ok(target_->end_sessions({*seen})), 0) << "it has no session";
  run("ROLLBACK PREPARED 'orders-17'");
  EXPECT_FALSE(find(look(*target_), role));
}

TEST_F(SessionsTest, SaysWhichRolesCanLogIn) {
  const std::vector<std::pair<std::string, bool>> roles{
      {make_role("plain"), true},
      {make_role("none", "NOLOGIN"), false},
      {make_role("zero", "LOGIN CONNECTION LIMIT 0"), false},
      {make_role("one", "LOGIN CONNECTION LIMIT 1"), true},
      // A limit does not bind a superuser, nor an expired password somebody who needs none.
      {make_role("super", "LOGIN SUPERUSER CONNECTION LIMIT 0"), true},
      {make_role("expired", "LOGIN VALID UNTIL '2001-01-01'"), true},
      {"it's \"nobody\"", false}};
  std::vector<std::string> names;
  for (const auto& [name, can] : roles) names.push_back(name);
  const auto scan = look(*target_, names);
  ASSERT_EQ(scan.servers[0].logins.size(), roles.size());
  for (std::size_t i = 0; i < roles.size(); ++i) {
    EXPECT_EQ(scan.servers[0].logins[i].role, roles[i].first);
    EXPECT_EQ(scan.servers[0].logins[i].can_login, roles[i].second) << roles[i].first;
    // What it says is so.
    bool can = true;
    try {
      const pqxx::connection connection(fmt::format("{} user='{}'", dsn_, i + 1 == roles.size() ? "nobody" : names[i]));
    } catch (const pqxx::broken_connection&) {
      can = false;
    }
    EXPECT_EQ(can, roles[i].second) << roles[i].first;
  }
}

TEST_F(SessionsTest, ARoleThatDoesNotSeeOthersSaysWhatToGrant) {
  const auto weak = make_role("weak");
  const auto target = target_as(weak);
  auto scan = look(*target);
  EXPECT_FALSE(scan.complete());
  EXPECT_THAT(scan.servers[0].failed, HasSubstr("GRANT pg_read_all_stats TO \"" + weak + "\""));
  run("GRANT pg_monitor TO " + weak);
  scan = look(*target);
  EXPECT_TRUE(scan.complete()) << scan.servers[0].failed;
  // Membership that has to be taken up with SET ROLE first does not let it see.
  run("REVOKE pg_monitor FROM " + weak + "; ALTER ROLE " + weak + " NOINHERIT; GRANT pg_monitor TO " + weak);
  EXPECT_FALSE(look(*target).complete());
}

TEST_F(SessionsTest, ALostSessionIsNoNewsOfTheServer) {
  ASSERT_TRUE(look(*target_).complete());
  run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diastole: sessions of main'");
  EXPECT_TRUE(look(*target_).complete());
}

// A session past the check of its role shows in pg_stat_activity only later: NOLOGIN does not stop it any more.
TEST_F(SessionsTest, ASessionThatIsBeingOpenedKeepsTheScanFromBeingComplete) {
  const auto role = make_role("api");
  ASSERT_TRUE(look(*target_).complete());
  auto opened = std::async(std::launch::async, [&] {
    return std::make_unique<pqxx::connection>(as(role) + " options='-c post_auth_delay=1'");
  });
  ASSERT_TRUE(eventually([&] {
    return count(
               "SELECT count(*) FROM pg_locks l WHERE locktype = 'virtualxid' AND NOT EXISTS (SELECT FROM "
               "pg_stat_activity a WHERE a.pid = l.pid)") > 0;
  }));
  run("ALTER ROLE " + role + " NOLOGIN");
  const auto scan = look(*target_);
  EXPECT_FALSE(find(scan, role));
  EXPECT_THAT(scan.servers[0].failed, HasSubstr("is being opened"));
  const auto connection = opened.get();
  const auto after = look(*target_);
  EXPECT_TRUE(after.complete());
  ASSERT_TRUE(find(after, role));
  EXPECT_EQ(find(after, role)->pid, connection->backendpid());
}

// Those that come after the first look find the fence, so that they are not waited for.
TEST_F(SessionsTest, SessionsThatComeAndGoWithoutEndDoNotKeepItFromBeingComplete) {
  const auto role = make_role("api");
  std::vector<std::jthread> clients;
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) const pqxx::connection connection(as(role));
    });
  }
  for (int i = 0; i < 20; ++i) {
    const auto scan = look(*target_);
    EXPECT_TRUE(scan.complete()) << scan.servers[0].failed;
  }
}

TEST_F(SessionsTest, AServerThatCannotBeReachedIsInTheScanWithTheReason) {
  const auto target = with_replicas({"host=/nowhere password=hunter2", dsn_});
  const auto scan = look(*target);
  ASSERT_EQ(scan.servers.size(), 3U);
  EXPECT_FALSE(scan.complete());
  EXPECT_EQ(scan.servers[1].server, "replica 1");
  EXPECT_EQ(scan.servers[1].failed,
            "cannot connect to replica 1 of target main: connection refused: nobody listens on the socket");
  EXPECT_EQ(scan.servers[2].server, "replica 2");
  EXPECT_TRUE(scan.servers[2].failed.empty()) << scan.servers[2].failed;
  EXPECT_TRUE(find(scan, "postgres"));
  Session unknown = scan.sessions.front();
  unknown.server = "replica 3";
  EXPECT_EQ(expect_error(target->end_sessions({unknown}), ErrorCode::invalid_argument).failure.message,
            "target main has no server called replica 3");
}

// Takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, plain, size) != 0 || ::listen(socket_, 16) != 0 || ::getsockname(socket_, plain, &size) != 0)
      throw std::runtime_error("no socket");
    port_ = ntohs(address.sin_port);
  }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  ~SilentServer() { ::close(socket_); }
  [[nodiscard]] std::string dsn() const { return fmt::format("host=127.0.0.1 port={} connect_timeout=60", port_); }

 private:
  int socket_;
  int port_ = 0;
};

TEST_F(SessionsTest, AServerThatHangsHoldsNobodyUp) {
  const SilentServer silent;
  const auto begin = Clock::now();
  {
    const auto target = with_replicas({silent.dsn(), dsn_});
    for (int i = 0; i < 2; ++i) {
      const auto asked = Clock::now();
      const auto scan = look(*target);
      EXPECT_LT(Clock::now() - asked, std::chrono::milliseconds{2'500});
      EXPECT_THAT(scan.servers[1].failed, HasSubstr("replica 1 of target main"));
      EXPECT_TRUE(scan.servers[0].failed.empty());
      EXPECT_TRUE(scan.servers[2].failed.empty());
      EXPECT_TRUE(find(scan, "postgres"));
    }
  }
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds{9}) << "its end waits for what hangs";
}

TEST_F(SessionsTest, EndsASessionOnlyWhileItIsTheSame) {
  const auto role = make_role("api");
  const pqxx::connection old(as(role));
  const auto seen = find(look(*target_), role);
  ASSERT_TRUE(seen);
  auto another = *seen;
  another.started_us -= 1;
  EXPECT_EQ(expect_ok(target_->end_sessions({another})), 0);
  EXPECT_TRUE(find(look(*target_), role));
  EXPECT_EQ(expect_ok(target_->end_sessions({*seen})), 1);
  EXPECT_TRUE(eventually([&] { return !find(look(*target_), role); }));
  EXPECT_EQ(expect_ok(target_->end_sessions({*seen})), 0);
  EXPECT_EQ(expect_ok(target_->end_sessions({})), 0);
}

TEST_F(SessionsTest, WhoMayNotEndThemSaysWhatToGrant) {
  const auto role = make_role("api");
  const auto weak = make_role("weak");
  run("GRANT pg_read_all_stats TO " + weak);
  const auto target = target_as(weak);
  const pqxx::connection old(as(role));
  const auto seen = find(look(*target), role);
  ASSERT_TRUE(seen);
  const auto error = expect_error(target->end_sessions({*seen}), ErrorCode::conflict);
  EXPECT_THAT(error.failure.message, HasSubstr("our role may not end sessions of " + role));
  EXPECT_THAT(error.failure.message, HasSubstr("GRANT pg_signal_backend TO \"" + weak + "\""));
  run("GRANT pg_signal_backend TO " + weak);
  // A superuser's is still none that it may end; the others are ended all the same.
  const auto admin = find(look(*target), "postgres");
  ASSERT_TRUE(admin);
  expect_error(target->end_sessions({*admin, *seen}), ErrorCode::conflict);
  EXPECT_TRUE(eventually([&] { return !find(look(*target), role); }));
  EXPECT_EQ(find(look(*target), "postgres")->pid, admin_.backendpid());
}

TEST_F(SessionsTest, AStandbysSessionsCountAndTheFenceArrivesThereLater) {
  const auto role = make_role("api");
  Standby standby("standby1");
  const auto on_standby = standby.dsn(database_);
  const auto target = with_replicas({on_standby});
  auto scan = look(*target, {role});
  ASSERT_TRUE(scan.complete()) << scan.servers[1].failed;
  EXPECT_FALSE(find(scan, role, "replica 1"));
  pqxx::connection old(on_standby + " user=" + role + " application_name='api@1.0.0'");
  scan = look(*target, {role});
  const auto seen = find(scan, role, "replica 1");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->pid, old.backendpid());
  EXPECT_FALSE(find(scan, role));

  standby.freeze();
  const ports::GateWork work{.plan = PlanId{"main.test"},
                             .gate_epoch = 1,
                             .epoch = Epoch{1},
                             .roles = {role},
                             .doomed = {},
                             .lock_timeout = Milliseconds{500},
                             .statement_timeout = Milliseconds{5'000}};
  EXPECT_EQ(expect_ok(target->keep_out(work)), std::vector{role});
  scan = look(*target, {role});
  EXPECT_FALSE(scan.servers[0].logins.at(0).can_login);
  EXPECT_TRUE(scan.servers[1].logins.at(0).can_login) << "it has not heard of it yet";
  standby.thaw();
  EXPECT_TRUE(eventually([&] { return !look(*target, {role}).servers[1].logins.at(0).can_login; }));
  // Who was in stays in, and is ended where it is.
  EXPECT_TRUE(find(look(*target), role, "replica 1"));
  EXPECT_EQ(expect_ok(target->end_sessions({*seen})), 1);
  EXPECT_TRUE(eventually([&] { return !find(look(*target), role, "replica 1"); }));
  EXPECT_THROW(pqxx::connection(on_standby + " user=" + role), pqxx::broken_connection);
  expect_ok(target->let_in(work, {}));
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
