// Tables that change amid a backfill, hide rows from it, or have a part that it could not walk well.
#include <gmock/gmock.h>

#include "support/backfill.hpp"

namespace diastole {
namespace {

using test::BackfillTest;
using ::testing::AllOf;
using ::testing::HasSubstr;

class BackfillTablesTest : public BackfillTest {
 protected:
  // Ten rows in each of three partitions; parts 1 to 3.
  void make_days() {
    run("CREATE TABLE days (day int, name text DEFAULT 'x', display_name text, PRIMARY KEY (day)) PARTITION BY RANGE "
        "(day); "
        "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (10) TO (20);"
        "CREATE TABLE days_3 PARTITION OF days FOR VALUES FROM (20) TO (30);"
        "INSERT INTO days SELECT generate_series(0, 29); ANALYZE days");
  }
};

TEST_F(BackfillTablesTest, APartitionDroppedMeanwhileIsOver) {
  make_days();
  auto work = backfill("days");
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(expect_ok(target_->backfill_batch(work, 2, 3, {})).rows_changed, 3);
  run("DROP TABLE days_2");
  const auto state = run_pass(work, 5);
  EXPECT_EQ(state.rows_changed, 23);
  EXPECT_EQ(count("SELECT count(display_name) FROM days"), 20);
  expect_ok(target_->backfill_finish(work));
}

TEST_F(BackfillTablesTest, APartitionRenamedMeanwhileIsNotPassedOver) {
  make_days();
  auto work = backfill("days");
  expect_ok(target_->backfill_begin(work));
  run("ALTER TABLE days_2 RENAME TO renamed");
  const auto failure = expect_error(target_->backfill_batch(work, 2, 5, {}), ErrorCode::invalid_argument).failure;
  EXPECT_EQ(failure.message, "public.days_2 is gone, and renamed has come since the backfill began");
  EXPECT_THAT(failure.hint, HasSubstr("give it its name again"));
  // A verification would find its rows, and the next pass has the new name.
  work.backfill.where = "display_name IS NULL";
  work.backfill.verify = "zero_rows";
  EXPECT_EQ(run_pass(work, 5).rows_changed, 20);
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 10);
  expect_ok(target_->backfill_again(work));
  EXPECT_EQ(run_pass(work, 5).rows_changed, 30);
}

TEST_F(BackfillTablesTest, ATableDroppedMeanwhileIsAFailure) {
  make_users(10);
  const auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  run("DROP TABLE users");
  EXPECT_THAT(expect_error(target_->backfill_batch(work, 1, 5, {}), ErrorCode::invalid_argument).failure.message,
              "there is no table users any more");
}

TEST_F(BackfillTablesTest, RowsHiddenByRowLevelSecurityAreNotPassedOver) {
  make_users(10);
  run("DROP ROLE IF EXISTS keeper; CREATE ROLE keeper LOGIN; GRANT ALL ON SCHEMA public, diastole TO keeper; "
      "GRANT ALL ON ALL TABLES IN SCHEMA diastole TO keeper; ALTER TABLE users OWNER TO keeper; "
      "ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON users USING (id < 5)");
  const auto keeper = postgres::make_target(TargetName{"main"}, dsn_ + " user=keeper", kOwner, log_);
  auto work = backfill("users", "name", "display_name IS NULL");
  work.backfill.verify = "zero_rows";
  expect_ok(keeper->backfill_preview(work, 5));
  run("ALTER TABLE users FORCE ROW LEVEL SECURITY");
  const auto hidden = HasSubstr("row level security hides rows of users");
  EXPECT_THAT(expect_error(keeper->backfill_begin(work), ErrorCode::invalid_argument).failure.message, hidden);
  EXPECT_THAT(expect_error(keeper->backfill_preview(work, 5), ErrorCode::invalid_argument).failure.message, hidden);
  expect_ok(target_->backfill_begin(work));
  run("DROP OWNED BY keeper; DROP ROLE keeper");
}

TEST_F(BackfillTablesTest, KeysInStepsOfSixteenDoNotMakeOneLargeBatch) {
  run("CREATE TABLE users (id bigint PRIMARY KEY, name text, display_name text); INSERT INTO users SELECT 16 * n, 'n' "
      "FROM generate_series(1, 1600) n; ANALYZE users");
  auto work = backfill("users");
  work.backfill.strides = 16;
  expect_ok(target_->backfill_begin(work));
  std::int64_t largest = 0;
  for (bool done = false; !done && !HasFailure();) {
    const auto batch = expect_ok(target_->backfill_batch(work, 1, 10, {}));
    largest = std::max(largest, batch.rows_changed);
    done = batch.part_done;
  }
  EXPECT_LE(largest, 30) << "of 160 in a window";
  EXPECT_EQ(count("SELECT count(display_name) FROM users"), 1600);
}

TEST_F(BackfillTablesTest, ABatchAmidATableDoesNotScanAllOfIt) {
  run("CREATE TABLE users (a int, b int, name text DEFAULT 'x', display_name text, PRIMARY KEY (a, b)); INSERT INTO "
      "users SELECT n % 317, n FROM generate_series(1, 50000) n; ANALYZE users");
  auto work = backfill("users");
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  run("UPDATE diastole.backfill_part SET done_to = '{150,0}'");
  // Sessions tell the statistics when they end, at the latest.
  const auto scans = [this] {
    target_.reset();
    EXPECT_TRUE(test::eventually(
        [this] { return count("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^diastole'") == 0; }));
    return count("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'users'");
  };
  const auto before = scans();
  target_ = another_target();
  EXPECT_EQ(expect_ok(target_->backfill_batch(work, 1, 10, {})).rows_changed, 10);
  EXPECT_EQ(scans(), before);
  EXPECT_EQ(count("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'users'"), 10);
}

TEST_F(BackfillTablesTest, AHeirWithoutTheKeysIndexIsRefused) {
  make_users(10);
  run("CREATE TABLE users_too () INHERITS (users); INSERT INTO users_too SELECT n, 'n' FROM generate_series(1, 100) n; "
      "ANALYZE users_too");
  const auto work = backfill("users");
  EXPECT_THAT(expect_error(target_->backfill_begin(work), ErrorCode::invalid_argument).failure.message,
              AllOf(HasSubstr("would scan all of public.users_too"), HasSubstr("has it an index on (id)?")));
  run("CREATE INDEX ON users_too (id)");
  EXPECT_EQ(run_pass(work, 5).rows_changed, 110);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
