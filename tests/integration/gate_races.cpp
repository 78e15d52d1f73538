// An old instance boots while a plan's gate is being passed: seeded races on a real PostgreSQL. No drop may commit
// while a session of the old version is alive.
//
//   DIASTOLE_RACES=1 DIASTOLE_SEED=<what a failure names> integration_gate_races --gtest_repeat=20
//
// runs that race again: its course is the same, the scheduler's part in it is not.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "support/sql_session.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

using core::SessionScan;
using std::chrono::microseconds;

constexpr int kWorkers = 4;
constexpr int kDropAttempts = 6;
constexpr auto kDrainBudget = std::chrono::milliseconds{300};

// The wall clock of this machine, which is the server's as well.
std::int64_t now_us() {
  return std::chrono::floor<microseconds>(std::chrono::system_clock::now()).time_since_epoch().count();
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

// How a race goes, from its seed alone. Pauses are in microseconds.
struct Course {
  explicit Course(std::uint64_t seed) : random(seed) {
    by_role = pick(0, 1) == 1;
    unlock_after = pick(0, 8'000);
    boot_after = pick(0, 30'000);
    boots = static_cast<int>(pick(1, 3));
    queries = static_cast<int>(pick(1, 16));
    in_transaction = pick(0, 3) == 0;
    slow_start = pick(0, 149) == 0;
  }
  std::int64_t pick(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  }

  std::mt19937_64 random;  // goes on in the instance
  bool by_role = false;  // its role tells the version, so that a fence can keep it out; else its application_name does
  std::int64_t unlock_after = 0;
  std::int64_t boot_after = 0;
  int boots = 1;  // it crashes and is started again
  int queries = 1;
  bool in_transaction = false;
  bool slow_start = false;  // its first session takes a second from the check of its role to its appearance
};

void pause(std::int64_t us) {
  std::this_thread::sleep_for(microseconds{us});
}

// What the old instance knows of a session of its own.
struct OldSession {
  int pid = 0;
  std::int64_t connected_us = 0;  // it was there at the latest
  std::int64_t alive_us = 0;      // and still at this time
};

// The application, on the version that uses the column.
class OldInstance {
 public:
  OldInstance(Course course, std::string dsn, std::string table)
      : course_(std::move(course)), dsn_(std::move(dsn)), table_(std::move(table)), thread_([this] { run(); }) {}

  [[nodiscard]] std::vector<OldSession> join() {
    thread_.join();
    return std::move(sessions_);
  }

 private:
  void run() {
    pause(course_.boot_after);
    for (int boot = 0; boot < course_.boots; ++boot) {
      try {
        SqlSession session(dsn_ + (course_.slow_start && boot == 0 ? " options='-c post_auth_delay=1'" : ""));
        serve(session);
      } catch (const std::exception&) {
        // Kept out, or ended.
      }
      pause(course_.pick(0, 6'000));
    }
  }

  void serve(SqlSession& session) {
    sessions_.push_back({.pid = session.pid(), .connected_us = now_us(), .alive_us = 0});
    if (course_.in_transaction) session.run("BEGIN");
    for (int query = 0; query < course_.queries; ++query) {
      const auto asked = now_us();
      // An error of the statement's own comes from a session that is alive.
      const auto outcome = session.attempt("SELECT old FROM " + table_);
      if (outcome.sqlstate.empty() || outcome.sqlstate.starts_with("42") || outcome.sqlstate == "25P02")
        sessions_.back().alive_us = asked;
      else
        return;
      pause(course_.pick(0, 8'000));
    }
    if (course_.in_transaction) session.run("COMMIT");
  }

  Course course_;
  const std::string dsn_;
  const std::string table_;
  std::vector<OldSession> sessions_;  // the thread's until join()
  std::thread thread_;
};

// What keeps a drop from committing too early.
enum class Guard { all, all_but_the_last_look, none };

struct Totals {
  std::atomic<int> drops = 0;
  std::atomic<int> refused = 0;   // by the last look
  std::atomic<int> drained = 0;   // sessions
  std::atomic<int> overlaps = 0;  // drops that committed while an old session was alive
};

class GateRacesTest : public TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("CREATE TABLE marks (race text PRIMARY KEY, at timestamptz NOT NULL)");
    for (int worker = 0; worker < kWorkers; ++worker)
      run(fmt::format("CREATE ROLE old_{0} LOGIN; CREATE ROLE app_{0} LOGIN", worker));
  }
  void TearDown() override {
    run("DROP OWNED BY old_0, old_1, old_2, old_3, app_0, app_1, app_2, app_3; "
        "DROP ROLE old_0, old_1, old_2, old_3, app_0, app_1, app_2, app_3");
  }

  // `races` of them, by seeds that follow each other.
  void race(std::uint64_t seed, std::uint64_t races, Guard guard) {
    std::atomic<std::uint64_t> next = 0;
    std::vector<std::jthread> workers;
    for (int worker = 0; worker < kWorkers; ++worker) {
      workers.emplace_back([&, worker] {
        pqxx::connection connection(dsn_);
        for (std::uint64_t i = next++; i < races; i = next++) Race(*this, connection, worker, seed + i, guard).run();
      });
    }
  }

  class Race {
   public:
    Race(GateRacesTest& test, pqxx::connection& connection, int worker, std::uint64_t seed, Guard guard)
        : test_(test),
          connection_(connection),
          seed_(seed),
          guard_(guard),
          course_(seed),
          name_(fmt::format("race_{}_{}", static_cast<int>(guard), seed)),
          role_(fmt::format("{}_{}", course_.by_role ? "old" : "app", worker)) {
      work_ = {.plan = PlanId{"main." + name_},
               .gate_epoch = 1,
               .epoch = Epoch{1},
               .roles = course_.by_role ? std::vector{role_} : std::vector<std::string>{},
               .doomed = {},
               .lock_timeout = Milliseconds{2'000},
               .statement_timeout = Milliseconds{10'000}};
    }

    void run() {
      sql(fmt::format(
          "CREATE TABLE {0} (id int, old text, new text); INSERT INTO {0} VALUES (1, 'o', 'n'); GRANT SELECT "
          "ON {0} TO {1}",
          name_, role_));
      OldInstance instance(course_, fmt::format("{} user={} application_name=api@1.0.0", test_.dsn_, role_), name_);
      pause(course_.unlock_after);
      const bool dropped = unlock();
      const auto returned = now_us();
      std::vector<int> seen;
      if (dropped) seen = alive();
      const auto sessions = instance.join();
      if (dropped) judge(sessions, seen, returned);
      if (guard_ != Guard::none) expect_ok(test_.target_->let_in(work_, {}));
      sql("DROP TABLE " + name_);
    }

   private:
    pqxx::result sql(const std::string& text) { return pqxx::nontransaction(connection_).exec(text); }

    std::vector<int> alive() {
      std::vector<int> pids;
      for (const auto& row : sql("SELECT pid FROM pg_stat_activity WHERE usename = '" + role_ + "'"))
        pids.push_back(row[0].as<int>());
      return pids;
    }

    [[nodiscard]] std::vector<core::Session> old_sessions(const SessionScan& scan) const {
      std::vector<core::Session> old;
      for (const auto& session : scan.sessions) {
        if (session.role == role_) old.push_back(session);
      }
      return old;
    }
    [[nodiscard]] bool clean(const SessionScan& scan) const {
      if (!scan.complete() || !old_sessions(scan).empty()) return false;
      return std::ranges::none_of(scan.servers[0].logins, &core::RoleLogin::can_login);
    }

    SessionScan scan() { return expect_ok(test_.target_->sessions({.plan = work_.plan, .roles = work_.roles})); }

    void drain() {
      const auto deadline = std::chrono::steady_clock::now() + kDrainBudget;
      for (auto seen = scan(); !clean(seen) && std::chrono::steady_clock::now() < deadline; seen = scan())
        test_.totals_.drained += static_cast<int>(expect_ok(test_.target_->end_sessions(old_sessions(seen))));
    }

    bool unlock() {
      if (guard_ != Guard::none) expect_ok(test_.target_->keep_out(work_));
      ports::StatementWork drop = statements("drop", {"ALTER TABLE " + name_ + " DROP COLUMN old",
                                                      "INSERT INTO marks VALUES ('" + name_ + "', clock_timestamp())"});
      drop.id.plan = work_.plan;
      drop.lock_timeout = Milliseconds{50};
      if (guard_ == Guard::all) {
        drop.last_look = ports::LastLook{
            .gate_epoch = 1,
            .request = {.plan = work_.plan, .roles = work_.roles},
            .judge = [this](const SessionScan& seen) { return std::vector<core::Reason>(clean(seen) ? 0 : 1); }};
      }
      for (int attempt = 0; attempt < kDropAttempts; ++attempt) {
        if (guard_ != Guard::none) drain();
        const auto done = test_.target_->execute(drop, {});
        if (done) {
          ++test_.totals_.drops;
          return true;
        }
        if (done.error().code == ErrorCode::interrupted) {
          ++test_.totals_.refused;
        } else if (done.error().code != ErrorCode::lock_timeout) {
          ADD_FAILURE() << to_string(done.error().code) << ": " << done.error().failure.message << where();
        }
      }
      return false;
    }

    // Where the role tells the version nobody can come after the fence, so that nobody may be there at all. Else
    // whoever was there before the last look, which came after the mark, may not be there after the commit.
    void judge(const std::vector<OldSession>& sessions, const std::vector<int>& seen, std::int64_t returned) {
      const auto mark =
          sql("SELECT (extract(epoch FROM at) * 1000000)::bigint FROM marks WHERE race = '" + name_ + "'")[0][0]
              .as<std::int64_t>();
      bool overlap = false;
      for (const auto& session : sessions) {
        const bool survived = session.alive_us > returned || std::ranges::find(seen, session.pid) != seen.end();
        overlap = overlap || (survived && (course_.by_role || session.connected_us < mark));
      }
      if (course_.by_role && !seen.empty()) overlap = true;
      if (!overlap) return;
      ++test_.totals_.overlaps;
      EXPECT_NE(guard_, Guard::all) << "a drop has committed while an old session was alive" << where();
    }

    [[nodiscard]] std::string where() const {
      return fmt::format("; again with DIASTOLE_SEED={} DIASTOLE_RACES=1", seed_);
    }

    GateRacesTest& test_;
    pqxx::connection& connection_;
    const std::uint64_t seed_;
    const Guard guard_;
    Course course_;
    const std::string name_;
    const std::string role_;
    ports::GateWork work_;
  };

  Totals totals_;
  const std::uint64_t seed_ = from_environment("DIASTOLE_SEED", 20261125);
  const std::uint64_t races_ = from_environment("DIASTOLE_RACES", 1'000);
};

TEST_F(GateRacesTest, NoDropCommitsWhileAnOldSessionIsAlive) {
  race(seed_, races_, Guard::all);
  fmt::print("{} races from seed {}: {} drops, {} refused at the last look, {} sessions ended, {} overlaps\n", races_,
             seed_, totals_.drops.load(), totals_.refused.load(), totals_.drained.load(), totals_.overlaps.load());
  EXPECT_EQ(totals_.overlaps, 0);
  if (races_ < 100) return;
  // A gate that is never passed, or never in danger, would show nothing.
  EXPECT_GT(totals_.drops, races_ * 9 / 10);
  EXPECT_GT(totals_.drained, races_ / 50);
}

// The controls: a test that cannot fail shows nothing.
TEST_F(GateRacesTest, WithoutTheGateItHappens) {
  race(seed_, std::min<std::uint64_t>(races_, 100), Guard::none);
  fmt::print("without the gate: {} drops, {} overlaps\n", totals_.drops.load(), totals_.overlaps.load());
  EXPECT_TRUE(races_ < 100 || totals_.overlaps > 0);
}

TEST_F(GateRacesTest, WithoutTheLastLookItHappens) {
  race(seed_, std::min<std::uint64_t>(races_, 150), Guard::all_but_the_last_look);
  fmt::print("without the last look: {} drops, {} overlaps\n", totals_.drops.load(), totals_.overlaps.load());
  EXPECT_TRUE(races_ < 100 || totals_.overlaps > 0);
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
