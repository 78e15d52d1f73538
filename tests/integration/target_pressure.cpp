// What the throttle reads of a real server.
#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <stop_token>

#include "support/target.hpp"

namespace diastole {
namespace {

using core::Pressure;
using test::eventually;
using test::OpenTransaction;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class PressureTest : public test::TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("CREATE TABLE users (id int PRIMARY KEY, name text, display_name text); INSERT INTO users SELECT n, 'n' || n "
        "FROM generate_series(1, 1000) n; ANALYZE users");
    work_.backfill.table = "users";
    work_.backfill.set = {{"display_name", "name"}};
  }

  Pressure look() { return expect_ok(target_->backfill_pressure(work_, limits_, {})); }

  ports::BackfillWork work_{
      .id = id("b"), .backfill = {}, .lock_timeout = Milliseconds{200}, .statement_timeout = Milliseconds{20'000}};
  core::ThrottleLimits limits_;
};

TEST_F(PressureTest, AServerAtRestShowsNone) {
  const auto pressure = look();
  EXPECT_THAT(pressure.unreadable, IsEmpty());
  EXPECT_FALSE(pressure.lock_wait);
  ASSERT_TRUE(pressure.standbys);
  EXPECT_THAT(*pressure.standbys, IsEmpty());
  EXPECT_THAT(pressure.vacuums, IsEmpty());
  EXPECT_FALSE(pressure.unarchived) << "nothing is archived";
  EXPECT_TRUE(pressure.forced_checkpoints);
  EXPECT_FALSE(pressure.disk_free) << "nobody said where it is";
  EXPECT_FALSE(pressure.probe);
  EXPECT_FALSE(pressure.hold_while);
  EXPECT_EQ(pressure.hold_while_error, "");
}

TEST_F(PressureTest, WhoWaitsForABatchIsSeen) {
  work_.backfill.set = {{"display_name", "name || left(pg_sleep(0.02)::text, 0)"}};
  expect_ok(target_->backfill_begin(work_));
  std::stop_source stop;
  auto batch =
      std::async(std::launch::async, [&] { return target_->backfill_batch(work_, 1, 1'000, stop.get_token()); });
  await_session("PgSleep");
  auto waiting = std::async(std::launch::async, [this] {
    pqxx::connection connection(dsn_ + " application_name=api");
    pqxx::nontransaction(connection).exec("DROP TABLE users");
    return connection.backendpid();
  });
  Pressure pressure;
  EXPECT_TRUE(eventually([&] { return (pressure = look()).lock_wait && pressure.lock_wait->time.count() >= 20; }));
  stop.request_stop();
  expect_error(batch.get(), ErrorCode::interrupted);
  const int pid = waiting.get();
  ASSERT_TRUE(pressure.lock_wait);
  EXPECT_EQ(pressure.lock_wait->pid, pid);
  EXPECT_EQ(pressure.lock_wait->application, "api");
  EXPECT_LT(pressure.lock_wait->time, Milliseconds{20'000});
}

TEST_F(PressureTest, AWaitForSomebodyElseIsNot) {
  const OpenTransaction holder(dsn_, "LOCK users");
  auto waiting = std::async(std::launch::async, [this] {
    pqxx::connection connection(dsn_);
    pqxx::nontransaction(connection).exec("SET statement_timeout = '1s'; SELECT FROM users");
  });
  EXPECT_TRUE(eventually(
      [&] { return count("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass") > 0; }));
  EXPECT_FALSE(look().lock_wait);
  EXPECT_THROW(waiting.get(), pqxx::sql_error);
}

TEST_F(PressureTest, TheOldestSnapshotIsNamed) {
  OpenTransaction holder(dsn_, "SELECT pg_current_xact_id()");
  const auto pressure = look();
  ASSERT_TRUE(pressure.oldest_snapshot);
  EXPECT_THAT(pressure.oldest_snapshot->who, StartsWith("session " + std::to_string(holder.pid())));
  EXPECT_LT(pressure.oldest_snapshot->age, Milliseconds{60'000});
  holder.commit();
  EXPECT_FALSE(look().oldest_snapshot);
  pqxx::connection connection(dsn_);
  pqxx::nontransaction session(connection);
  session.exec("BEGIN; INSERT INTO users VALUES (0); PREPARE TRANSACTION 'forgotten'");
  EXPECT_EQ(look().oldest_snapshot.value().who, "prepared transaction forgotten");
  session.exec("ROLLBACK PREPARED 'forgotten'");
}

TEST_F(PressureTest, AVacuumOfThePartitionedTableIsSeen) {
  run("CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY HASH (id);"
      "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
      "INSERT INTO parts SELECT n, repeat('x', 500) FROM generate_series(1, 5000) n");
  auto vacuum = std::async(std::launch::async, [this] {
    pqxx::connection connection(dsn_);
    pqxx::nontransaction(connection).exec("SET vacuum_cost_delay = 100");
    pqxx::nontransaction(connection).exec("SET vacuum_cost_limit = 1");
    pqxx::nontransaction(connection).exec("VACUUM parts_0");
  });
  EXPECT_TRUE(eventually([&] { return count("SELECT count(*) FROM pg_stat_progress_vacuum") > 0; }));
  EXPECT_THAT(look().vacuums, IsEmpty()) << "that of another table";
  work_.backfill.table = "parts";
  const auto pressure = look();
  run("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum");
  EXPECT_THROW(vacuum.get(), pqxx::sql_error);
  ASSERT_EQ(pressure.vacuums.size(), 1U);
  EXPECT_EQ(pressure.vacuums[0].relation, "parts_0");
  EXPECT_FALSE(pressure.vacuums[0].wraparound);
  EXPECT_FALSE(pressure.oldest_snapshot) << "a vacuum keeps none";
}

TEST_F(PressureTest, ForcedCheckpointsAreCounted) {
  const auto before = look().forced_checkpoints.value();
  run("CHECKPOINT");
  EXPECT_TRUE(eventually([&] { return look().forced_checkpoints > before; }));
}

TEST_F(PressureTest, TheProbeIsTimedAndASlowOneCutOff) {
  work_.backfill.probe = "SELECT pg_sleep(0.05);";
  const auto time = look().probe;
  ASSERT_TRUE(time);
  EXPECT_GE(*time, Milliseconds{50});
  EXPECT_LT(*time, Milliseconds{1'000});
  work_.backfill.probe = "SELECT pg_sleep(60)";
  EXPECT_EQ(look().probe, Milliseconds{1'000});
  work_.backfill.probe = "SELECT FROM nowhere";
  const auto pressure = look();
  EXPECT_FALSE(pressure.probe);
  EXPECT_THAT(pressure.unreadable, ElementsAre("probe: relation \"nowhere\" does not exist"));
}

TEST_F(PressureTest, HoldWhileAnswersOrSaysWhyNot) {
  const auto error = [&](const std::string& sql) {
    work_.backfill.hold_while = sql;
    const auto pressure = look();
    EXPECT_FALSE(pressure.hold_while) << sql;
    EXPECT_THAT(pressure.unreadable, IsEmpty()) << sql;
    return pressure.hold_while_error;
  };
  work_.backfill.hold_while = "SELECT count(*) > 10 FROM users; -- rush hour";
  EXPECT_EQ(look().hold_while, true);
  run("TRUNCATE users");
  EXPECT_EQ(look().hold_while, false);
  EXPECT_EQ(error("SELECT FROM nowhere"), "relation \"nowhere\" does not exist");
  EXPECT_EQ(error("SELECT 1"), "it does not return one true or false");
  EXPECT_EQ(error("SELECT NULL::boolean"), "it does not return one true or false");
  EXPECT_EQ(error("SELECT true FROM users"), "it does not return one true or false");
  EXPECT_EQ(error("SELECT true FROM pg_sleep(60)"), "no answer within 1s");
  EXPECT_THAT(error("WITH gone AS (DELETE FROM diastole.fence RETURNING true) SELECT true FROM gone"),
              HasSubstr("read-only transaction"));
  EXPECT_THAT(error("SELECT true; DELETE FROM diastole.fence"), HasSubstr("multiple commands"));
  EXPECT_EQ(count("SELECT count(*) FROM diastole.fence"), 1);
}

TEST_F(PressureTest, FreeDiskIsOfWhereTheTargetIsSaidToBe) {
  const auto at = [&](const std::string& directory) {
    const auto target = postgres::make_target(TargetName{"main"}, dsn_, kOwner, log_, directory);
    return expect_ok(target->backfill_pressure(work_, limits_, {}));
  };
  EXPECT_GT(at("/tmp").disk_free.value(), 0);
  const auto pressure = at("/no/such/place");
  EXPECT_FALSE(pressure.disk_free);
  EXPECT_THAT(pressure.unreadable, ElementsAre("free disk: /no/such/place: No such file or directory"));
}

TEST_F(PressureTest, ARoleWithoutRightsSaysWhatItCannotSee) {
  run("DROP ROLE IF EXISTS blind; CREATE ROLE blind LOGIN; GRANT USAGE ON SCHEMA diastole TO blind");
  const auto blind = postgres::make_target(TargetName{"main"}, dsn_ + " user=blind", kOwner, log_);
  const auto pressure = expect_ok(blind->backfill_pressure(work_, limits_, {}));
  EXPECT_THAT(pressure.unreadable, ElementsAre(HasSubstr("not a member of pg_monitor")));
  EXPECT_FALSE(pressure.standbys);
  EXPECT_TRUE(pressure.forced_checkpoints);
}

TEST_F(PressureTest, WhatIsSwitchedOffIsNotAskedFor) {
  limits_ = {.lock_wait = {},
             .probe = {},
             .replica_lag = {},
             .replica_bytes = 0,
             .replica_gone = {},
             .unarchived = 0,
             .vacuum = false,
             .checkpoint_gap = {},
             .disk_free = 0};
  work_.backfill.probe = "SELECT FROM nowhere";
  const auto pressure = look();
  EXPECT_THAT(pressure.unreadable, IsEmpty());
  EXPECT_FALSE(pressure.standbys);
  EXPECT_FALSE(pressure.forced_checkpoints);
}

TEST_F(PressureTest, AStopEndsTheLook) {
  std::stop_source stop;
  stop.request_stop();
  work_.backfill.hold_while = "SELECT true";
  EXPECT_FALSE(expect_ok(target_->backfill_pressure(work_, limits_, stop.get_token())).hold_while);
}

TEST(PressureArchiveTest, WhatWaitsToBeArchivedIsCounted) {
  auto started = postgres::EmbeddedCluster::start(
      {.data_dir = {}, .settings = {{"fsync", "off"}, {"archive_mode", "on"}, {"archive_command", "false"}}});
  ASSERT_TRUE(started) << started.error().message;
  test::SilentLog log;
  const auto dsn = (*started)->dsn();
  const auto target = postgres::make_target(TargetName{"main"}, dsn, "6a8c7f0e-0d43-4c38-9b5e-1f2f4a9f6d11", log);
  const ports::BackfillWork work{.id = {.plan = PlanId{"main.test"},
                                        .step = StepId{"b"},
                                        .direction = ports::Direction::forward,
                                        .checksum = "",
                                        .epoch = Epoch{1}},
                                 .backfill = {},
                                 .lock_timeout = {},
                                 .statement_timeout = {}};
  const auto unarchived = [&] {
    const auto pressure = target->backfill_pressure(work, {}, {});
    EXPECT_TRUE(pressure);
    return pressure ? pressure->unarchived.value_or(-1) : -1;
  };
  const auto before = unarchived();
  EXPECT_GE(before, 0);
  pqxx::connection connection(dsn);
  pqxx::nontransaction session(connection);
  for (int i = 0; i < 2; ++i) session.exec("SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()");
  constexpr std::int64_t kSegment = 16 << 20;
  EXPECT_TRUE(eventually([&] { return unarchived() == before + 2 * kSegment; }));
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
