// A backfill beside a streaming standby: it does not outrun it, and waits for one that stands still or leaves.
#include <atomic>
#include <thread>

#include "support/daemon.hpp"
#include "support/plans.hpp"
#include "support/standby.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

json backfill_of(const std::string& name, const std::string& expression) {
  return plan_of(name, {{"backfill", json::array({{{"id", "copy"},
                                                   {"table", name},
                                                   {"set", {{"display_name", expression}}},
                                                   {"where", "display_name IS NULL"},
                                                   {"verify", "zero_rows"}}})}});
}

void make_table(const std::string& dsn, const std::string& name, int rows) {
  sql(dsn, fmt::format("CREATE TABLE {0} (id bigint PRIMARY KEY, name text NOT NULL, display_name text); INSERT INTO "
                       "{0} SELECT n, 'n' || n FROM generate_series(1, {1}) n; ANALYZE {0}",
                       name, rows));
}

// Whether an event tells of a hold for this signal, or, empty, of batches that run.
auto holds_for(const std::string& signal) {
  return [signal](const json& event) {
    if (event.at("kind") != "step_progressed") return false;
    const auto throttle = event.at("progress").value("throttle", json{{"share", 1}});
    if (signal.empty()) return throttle.at("share") > 0;
    return throttle.at("share") == 0 && throttle.at("reason").at("signal") == signal;
  };
}

std::string reason_of(const json& event) {
  return event.at("progress").at("throttle").at("reason").at("detail").get<std::string>();
}

// Looks without end at how far the standby is behind.
class LagWatch {
 public:
  LagWatch() = default;
  [[nodiscard]] std::int64_t worst() const { return worst_; }

 private:
  void watch(const std::stop_token& stop) {
    pqxx::connection connection(cluster().dsn());
    while (!stop.stop_requested()) {
      const auto behind = pqxx::nontransaction(connection)
                              .exec(
                                  "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint FROM "
                                  "pg_stat_replication")[0][0]
                              .as<std::int64_t>(0);
      worst_ = std::max(worst_.load(), behind);
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }

  std::atomic<std::int64_t> worst_ = 0;
  std::jthread thread_{[this](const std::stop_token& stop) { watch(stop); }};
};

// Each row takes a while, so that a backfill lasts, and writes no more than a thousand rows a second, on any
// machine.
std::string slowly(const std::string& expression) {
  return expression + " || left(pg_sleep(0.0002)::text, 0)";
}

Daemon::Sections limits(const std::string& signals) {
  return {{"backfill", "{ batch_rows: 100, max_rows: 100, batch_target: 1s, " + signals + " }"}};
}

TEST(BackfillStandbyTest, TheLagStaysUnderItsLimit) {
  constexpr std::int64_t kLimit = 5;
  Standby standby("standby1");
  Daemon daemon(limits(fmt::format("replica_mib: {}, replica_lag: 0s", kLimit)));
  daemon.start();
  make_table(daemon.main_dsn(), "lagging", 5'000);
  // What it is behind by is the rate times this delay, so that the limit stands for half of what could be written.
  standby.delay("10s");
  const LagWatch lag;
  ASSERT_EQ(daemon.submit(backfill_of("lagging", slowly("repeat(md5(name), 32)"))).status, 201);
  const auto slowed = daemon.await_event("lagging", [](const json& event) {
    return event.at("kind") == "step_progressed" &&
           event.at("progress").value("throttle", json::object()).value("share", 1.0) < 0.9;
  });
  EXPECT_EQ(slowed.at("progress").at("throttle").at("reason").at("signal"), "replica_bytes") << slowed;
  EXPECT_TRUE(reason_of(slowed).starts_with("standby1 is ")) << slowed;
  EXPECT_EQ(daemon.until("lagging", "completed").at("stage"), "completed");
  EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM lagging WHERE display_name = repeat(md5(name), 32)"), "5000");
  EXPECT_GT(lag.worst(), kLimit * kMiB / 2) << "it was not put to the test";
  EXPECT_LT(lag.worst(), kLimit * kMiB * 5 / 4);
  EXPECT_EQ(daemon.end(), 0);
}

TEST(BackfillStandbyTest, AStandbyThatStandsStillOrLeavesIsWaitedFor) {
  Standby standby("standby1");
  Daemon daemon(limits("replica_lag: 2s"));
  daemon.start();
  make_table(daemon.main_dsn(), "stopped", 8'000);
  const auto written = [&] { return sql(daemon.main_dsn(), "SELECT count(display_name) FROM stopped"); };
  ASSERT_EQ(daemon.submit(backfill_of("stopped", slowly("name"))).status, 201);
  auto event = daemon.await_event("stopped", "step_progressed");

  standby.freeze();
  event = daemon.await_event("stopped", holds_for("replica_lag"), event.at("id"));
  EXPECT_TRUE(reason_of(event).starts_with("standby1 has replayed nothing for ")) << event;
  // The batch in hand when the hold began ends first.
  std::this_thread::sleep_for(std::chrono::milliseconds{500});
  const auto before = written();
  std::this_thread::sleep_for(std::chrono::seconds{1});
  EXPECT_EQ(written(), before);
  standby.thaw();
  event = daemon.await_event("stopped", holds_for(""), event.at("id"));

  standby.crash();
  event = daemon.await_event("stopped", holds_for("replica_gone"), event.at("id"));
  EXPECT_TRUE(reason_of(event).starts_with("standby1 is gone")) << event;
  EXPECT_NE(written(), "8000");
  standby.come_back();
  EXPECT_EQ(daemon.until("stopped", "completed").at("stage"), "completed");
  EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM stopped WHERE display_name = name"), "8000");
  EXPECT_EQ(daemon.end(), 0);
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
