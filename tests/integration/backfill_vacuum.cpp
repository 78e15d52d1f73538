// The vacuum between a backfill's windows that its plan asks for.
#include <gtest/gtest.h>

#include <future>

#include "support/backfill.hpp"

namespace diastole {
namespace {

using test::OpenTransaction;

class BackfillVacuumTest : public test::BackfillTest {
 protected:
  // No update of it is HOT.
  void make_indexed_users(int rows) {
    make_users(rows);
    run("CREATE INDEX ON users (display_name); ALTER TABLE users SET (autovacuum_enabled = off)");
  }
  std::int64_t size() { return count("SELECT pg_relation_size('users')"); }
};

TEST_F(BackfillVacuumTest, LaterWindowsUseTheRoomOfOldVersionsAgain) {
  make_indexed_users(20'000);
  const auto before = size();
  const auto work = backfill("users");
  const auto state = expect_ok(target_->backfill_begin(work));
  ASSERT_EQ(state.walk.strides, 1);
  int vacuums = 0;
  for (bool done = false; !done && !HasFailure();) {
    const auto batch = expect_ok(target_->backfill_batch(work, 1, 2'000, {}));
    done = batch.part_done;
    if (done) break;
    EXPECT_TRUE(batch.window_done) << "with one stride, each batch is a window";
    EXPECT_EQ(expect_ok(target_->backfill_vacuum(work, 1, {})), "public.users");
    ++vacuums;
  }
  EXPECT_GE(vacuums, 9);
  EXPECT_LT(size(), before * 3 / 2) << "without, it doubles";
  EXPECT_EQ(count("SELECT count(*) FROM users WHERE display_name = name"), 20'000);
}

TEST_F(BackfillVacuumTest, WaitsForOtherMaintenanceOnlyShortly) {
  make_indexed_users(10);
  const auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  const OpenTransaction other(dsn_, "LOCK users IN SHARE UPDATE EXCLUSIVE MODE");
  expect_error(target_->backfill_vacuum(work, 1, {}), ErrorCode::lock_timeout);
}

TEST_F(BackfillVacuumTest, StopsWhenAsked) {
  make_indexed_users(10);
  auto work = backfill("users");
  work.lock_timeout = Milliseconds{20'000};
  expect_ok(target_->backfill_begin(work));
  const OpenTransaction other(dsn_, "LOCK users IN SHARE UPDATE EXCLUSIVE MODE");
  std::stop_source stop;
  auto vacuum = std::async(std::launch::async, [&] { return target_->backfill_vacuum(work, 1, stop.get_token()); });
  EXPECT_TRUE(test::eventually(
      [&] { return count("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass") == 1; }));
  stop.request_stop();
  expect_error(vacuum.get(), ErrorCode::interrupted);
}

TEST_F(BackfillVacuumTest, SaysThatTheRoleMayNot) {
  make_indexed_users(10);
  const auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  run("CREATE ROLE weak LOGIN; GRANT USAGE ON SCHEMA diastole TO weak; GRANT SELECT ON ALL TABLES IN SCHEMA diastole "
      "TO weak; GRANT SELECT, UPDATE ON users TO weak");
  const auto weak = postgres::make_target(TargetName{"main"}, dsn_ + " user=weak", kOwner, log_);
  const auto error = expect_error(weak->backfill_vacuum(work, 1, {}), ErrorCode::conflict);
  EXPECT_EQ(error.failure.message, "the target's role may not vacuum public.users: it is not its owner");
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
