// Backfill over a real primary key: every row once a pass, whatever happens meanwhile.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <ostream>
#include <stop_token>

#include "support/backfill.hpp"

namespace diastole {
namespace {

using ports::BackfillState;
using ports::BackfillWork;
using test::BackfillTest;
using test::OpenTransaction;
using ::testing::HasSubstr;

struct KeyCase {
  const char* name;
  const char* columns;  // of the key, with types
  const char* key;
  const char* values;  // of the key, from n in 1 to 257
};

void PrintTo(const KeyCase& c, std::ostream* out) {
  *out << c.columns << ", PRIMARY KEY (" << c.key << ")";
}

class BackfillKeyTest : public BackfillTest, public ::testing::WithParamInterface<KeyCase> {};

TEST_P(BackfillKeyTest, VisitsEachRowOnce) {
  const auto& c = GetParam();
  run(std::string("CREATE TABLE \"Some Table\" (name text, ") + c.columns + ", display_name text, PRIMARY KEY (" +
      c.key + ")); INSERT INTO \"Some Table\" SELECT 'n' || n, " + c.values + " FROM generate_series(1, 257) n");
  count_updates("\"Some Table\"");
  const auto cursor = run_pass(backfill("\"Some Table\""), 10);
  EXPECT_EQ(cursor.rows, 257);
  EXPECT_EQ(cursor.rows_changed, 257);
  EXPECT_EQ(count("SELECT count(*) FROM \"Some Table\" WHERE display_name = name AND updates = 1"), 257);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, BackfillKeyTest,
    ::testing::Values(KeyCase{"Int", "id int", "id", "n - 100"},
                      KeyCase{"Uuid", "id uuid DEFAULT gen_random_uuid()", "id", "md5(n::text)::uuid"},
                      KeyCase{"TextAndInt", "\"a B\" text, k int", "\"a B\", k", "'g''\\' || n / 7, -n"},
                      KeyCase{"KeyInOtherOrderThanColumns", "a int, b int", "b, a", "n % 5, n / 5"},
                      KeyCase{"TextInIcuCollation", "k text COLLATE \"de-x-icu\"", "k",
                              "(ARRAY['a', 'A', 'ä', 'Z', 'z', '_', 'ß'])[n % 7 + 1] || n"},
                      KeyCase{"TextInC", "k text COLLATE \"C\"", "k",
                              "(ARRAY['a', 'A', 'é', 'Z', '~'])[n % 5 + 1] || n"},
                      KeyCase{"Timestamptz", "t timestamptz", "t",
                              "'2026-03-29 00:59:00Z'::timestamptz + n * interval '13.000001 s'"},
                      KeyCase{"Numeric", "x numeric", "x", "n / 7.0"},
                      KeyCase{"FixedChar", "x char(6)", "x", "'k' || n"}, KeyCase{"Float", "x float8", "x", "n / 3.0"},
                      KeyCase{"Bytea", "x bytea", "x", "decode(md5(n::text), 'hex')"},
                      KeyCase{"DateDescendingInterval", "d interval", "d", "n * interval '1 day 3 hours'"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(BackfillTest, AnEmptyTableEndsAtOnce) {
  make_users(0);
  const auto cursor = run_pass(backfill("users"), 10);
  EXPECT_EQ(cursor.rows, 0);
  EXPECT_EQ(cursor.rows_changed, 0);
}

TEST_F(BackfillTest, CountsAreOfVisitedAndOfChangedRows) {
  make_users(100);
  run("UPDATE users SET display_name = 'there' WHERE id <= 60");
  auto work = backfill("users", "name || ' -- ' -- a comment", "display_name IS NULL -- another");
  work.backfill.strides = 1;
  auto cursor = expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(cursor.rows_total, 100);
  const auto batch = expect_ok(target_->backfill_batch(work, 1, 30, {}));
  EXPECT_EQ(batch.rows, 30);
  EXPECT_EQ(batch.rows_changed, 0);
  EXPECT_EQ(expect_ok(target_->settle(work.id, true)), core::Applied::partial);
  cursor = run_pass(work, 30);
  EXPECT_EQ(cursor.rows, 100);
  EXPECT_EQ(cursor.rows_changed, 40);
  EXPECT_EQ(value("SELECT display_name FROM users WHERE id = 100"), "n100 -- ");
}

// What the batches say to be behind adds up to all of the way, and is what a restart reads at any moment.
TEST_F(BackfillTest, SharesAddUpToTheWhole) {
  struct Case {
    const char* name;
    std::optional<core::WalkBy> by;
    int strides;
    int workers;
  };
  int number = 0;
  for (const auto& c :
       {Case{"blocks", core::WalkBy::blocks, 8, 1}, Case{"blocks of workers", core::WalkBy::blocks, 4, 3},
        Case{"key", core::WalkBy::key, 8, 1}, Case{"key of workers", core::WalkBy::key, 1, 3}}) {
    const auto table = "shares_" + std::to_string(++number);
    run("CREATE TABLE " + table + " (id int PRIMARY KEY, name text, display_name text); INSERT INTO " + table +
        " SELECT n, 'n' || n FROM generate_series(1, 3000) n; ANALYZE " + table);
    auto work = backfill(table, "name", "display_name IS NULL");
    work.id = id("b" + std::to_string(number));
    work.backfill.verify = "zero_rows";
    work.backfill.walk_by = c.by;
    work.backfill.strides = c.strides;
    work.backfill.workers = c.workers;
    auto begun = expect_ok(target_->backfill_begin(work));
    EXPECT_EQ(begun.share, 0) << c.name;
    double share = 0;
    std::int64_t rows = 0;
    int batches = 0;
    for (const int part : begun.open_parts) {
      for (bool done = false; !done && !HasFailure();) {
        // The second is smaller, and ends amid a stride.
        const auto batch = expect_ok(target_->backfill_batch(work, part, ++batches % 2 == 0 ? 20 : 90, {}));
        EXPECT_GE(batch.share, 0) << c.name;
        share += batch.share;
        rows += batch.rows;
        done = batch.part_done;
        const auto read = expect_ok(target_->backfill_begin(work));
        EXPECT_NEAR(read.share, share, 1e-9) << c.name << " at batch " << batches;
      }
    }
    EXPECT_GT(batches, 20) << c.name;
    EXPECT_NEAR(share, 1, 1e-9) << c.name;
    EXPECT_NEAR(static_cast<double>(rows), 3'000, 60) << c.name;
    EXPECT_EQ(expect_ok(target_->backfill_begin(work)).rows, 3'000) << c.name;
  }
}

TEST_F(BackfillTest, ReachesPartitionsThroughTheirParent) {
  run("CREATE TABLE parts (id int PRIMARY KEY, name text DEFAULT 'x', display_name text) PARTITION BY HASH (id);"
      "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
      "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
      "INSERT INTO parts SELECT generate_series(1, 95)");
  EXPECT_EQ(run_pass(backfill("public.parts"), 10).rows_changed, 95);
  EXPECT_EQ(count("SELECT count(*) FROM parts WHERE display_name = 'x'"), 95);
}

TEST_F(BackfillTest, RowsInsertedAheadAreReachedAndThoseBehindByTheNextPass) {
  make_users(100);
  auto work = backfill("users", "name", "display_name IS NULL");
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  expect_ok(target_->backfill_batch(work, 1, 50, {}));
  run("INSERT INTO users VALUES (0, 'behind', NULL); INSERT INTO users SELECT n, 'ahead' FROM generate_series(101, "
      "200) n");
  EXPECT_EQ(run_pass(work, 50).rows, 200);
  auto verified = work;
  verified.backfill.verify = "zero_rows";
  EXPECT_EQ(expect_ok(target_->backfill_remaining(verified, {})), 1);

  auto cursor = expect_ok(target_->backfill_again(work));
  EXPECT_EQ(cursor.pass, 2);
  EXPECT_THAT(cursor.open_parts, ::testing::ElementsAre(1));
  EXPECT_EQ(expect_ok(target_->backfill_again(work)).pass, 2);  // asked again after a lost answer
  cursor = run_pass(work, 50);
  EXPECT_EQ(cursor.rows, 200 + 201);
  EXPECT_EQ(cursor.rows_changed, 201);
  EXPECT_EQ(expect_ok(target_->backfill_remaining(verified, {})), 0);
}

class BackfillBlocksTest : public BackfillTest {
 protected:
  [[nodiscard]] static BackfillWork by_blocks(const std::string& table) {
    auto work = backfill(table, "name", "display_name IS NULL");
    work.backfill.verify = "zero_rows";
    return work;
  }
  // Several parts at once, each by a thread of its own.
  void run_workers(const BackfillWork& work, const BackfillState& state, int rows) {
    std::vector<std::future<void>> workers;
    for (const int part : state.open_parts) {
      workers.push_back(std::async(std::launch::async, [&, part] {
        while (!expect_ok(target_->backfill_batch(work, part, rows, {})).part_done && !HasFailure()) continue;
      }));
    }
    for (auto& worker : workers) worker.get();
  }
};

TEST_F(BackfillBlocksTest, ATableWithoutAKeyIsWalkedByBlocks) {
  run("CREATE TABLE heap (name text, display_name text); INSERT INTO heap SELECT 'n' || n FROM generate_series(1, "
      "3000) n; DELETE FROM heap WHERE name LIKE '%7'; ANALYZE heap");
  count_updates("heap");
  const auto work = by_blocks("heap");
  const auto begun = expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(begun.walk.by, core::WalkBy::blocks);
  EXPECT_EQ(begun.walk.strides, 16);
  const auto state = run_pass(work, 100);
  EXPECT_EQ(state.rows_changed, 2'700);
  EXPECT_EQ(state.rows, state.rows_total);
  EXPECT_EQ(count("SELECT count(*) FROM heap WHERE updates = 1 AND display_name = name"), 2'700);
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 0);
}

TEST_F(BackfillBlocksTest, StridesUpdateInPlaceWhereOnePassCannot) {
  const auto grown = [&](const std::string& table, int strides) {
    run("CREATE TABLE " + table + " (id int PRIMARY KEY, name text, display_name text); INSERT INTO " + table +
        " SELECT n, md5(n::text) || md5(n::text) FROM generate_series(1, 20000) n");
    run("VACUUM ANALYZE " + table);
    const auto before = count("SELECT pg_relation_size('" + table + "')");
    const auto indexes = count("SELECT pg_indexes_size('" + table + "')");
    auto work = by_blocks(table);
    work.id = id(table);
    work.backfill.set = {{"display_name", "'x'"}};
    work.backfill.strides = strides;
    EXPECT_EQ(run_pass(work, 1'000).rows_changed, 20'000);
    const auto percent = [&](std::int64_t now, std::int64_t then) { return 100 * (now - then) / then; };
    return std::pair(percent(count("SELECT pg_relation_size('" + table + "')"), before),
                     percent(count("SELECT pg_indexes_size('" + table + "')"), indexes));
  };
  const auto [heap, indexes] = grown("strided", 8);
  EXPECT_LE(heap, 30);
  EXPECT_LE(indexes, 30);
  EXPECT_GE(grown("plain", 1).first, 90) << "or the strides are not what makes the difference";
}

TEST_F(BackfillBlocksTest, RowsThatMoveMeanwhileAreTheNextPasss) {
  make_users(3'000);
  const auto work = by_blocks("users");
  expect_ok(target_->backfill_begin(work));
  // To the end of the table, behind where the pass ends; and new ones.
  run("UPDATE users SET name = name || repeat('x', 500) WHERE id % 10 = 0; "
      "INSERT INTO users SELECT n, 'late' FROM generate_series(3001, 3100) n");
  run_pass(work, 100);
  EXPECT_GT(expect_ok(target_->backfill_remaining(work, {})), 0);
  const auto again = expect_ok(target_->backfill_again(work));
  EXPECT_EQ(again.pass, 2);
  EXPECT_EQ(again.walk.strides, 1);
  EXPECT_EQ(run_pass(work, 100).rows_changed, 3'100);
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 0);
}

TEST_F(BackfillBlocksTest, WorkersShareTheTable) {
  for (const char* walk : {"blocks", "key"}) {
    run("DROP TABLE IF EXISTS users; DROP FUNCTION IF EXISTS count_update");
    make_users(5'000);
    count_updates("users");
    auto work = by_blocks("users");
    work.id = id(walk);
    work.backfill.walk_by = core::walk_by_from(walk);
    work.backfill.workers = 3;
    const auto begun = expect_ok(target_->backfill_begin(work));
    EXPECT_EQ(begun.walk.workers, 3);
    ASSERT_THAT(begun.open_parts, ::testing::ElementsAre(1, 2, 3)) << walk;
    run_workers(work, begun, 50);
    EXPECT_EQ(run_pass(work, 50).rows_changed, 5'000) << walk;
    EXPECT_EQ(count("SELECT count(*) FROM users WHERE updates = 1 AND display_name = name"), 5'000) << walk;
    EXPECT_EQ(count(std::string("SELECT count(*) FROM diastole.backfill_part WHERE rows_changed > 1000 AND step = '") +
                    walk + "'"),
              3)
        << walk;
  }
}

TEST_F(BackfillBlocksTest, PartitionsAreWalkedOneByOne) {
  run("CREATE TABLE parts (id int, name text DEFAULT 'x', display_name text) PARTITION BY RANGE (id);"
      "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);"
      "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (1000) PARTITION BY RANGE (id);"
      "CREATE TABLE parts_1_0 PARTITION OF parts_1 FOR VALUES FROM (100) TO (500);"
      "CREATE SCHEMA other; CREATE TABLE other.\"Rest\" PARTITION OF parts DEFAULT;"
      "INSERT INTO parts SELECT generate_series(1, 450); INSERT INTO parts VALUES (5000)");
  auto work = by_blocks("parts");
  // The plan's name of the table means the partition's row.
  work.backfill.set = {{"display_name", "parts.name || parts.id"}};
  const auto begun = expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(value("SELECT string_agg(relation, ' ' ORDER BY part) FROM diastole.backfill_part"),
            "other.\"Rest\" public.parts_0 public.parts_1_0");
  EXPECT_EQ(run_pass(work, 50).rows_changed, 451);
  EXPECT_EQ(count("SELECT count(*) FROM parts WHERE display_name = 'x' || id"), 451);
}

TEST_F(BackfillTest, StridesOfAKeyThatIsNoNumberAreByItsHash) {
  run("CREATE TABLE log (at timestamptz, n int, name text, display_name text, UNIQUE (at, n)); ALTER TABLE log "
      "ALTER at SET NOT NULL, ALTER n SET NOT NULL; "
      "INSERT INTO log SELECT now() + n * interval '1 s', -n, 'n' || n FROM generate_series(1, 900) n");
  run("CREATE TABLE stamps (at timestamptz PRIMARY KEY, name text, display_name text); "
      "INSERT INTO stamps SELECT now() + n * interval '1 s', 'n' || n FROM generate_series(1, 900) n");
  for (const std::string table : {"log", "stamps"}) {
    auto work = backfill(table);
    work.id = id(table);
    work.backfill.strides = 4;
    const auto begun = expect_ok(target_->backfill_begin(work));
    EXPECT_EQ(begun.walk.by, core::WalkBy::key);
    EXPECT_EQ(begun.walk.strides, 4);
    const auto state = run_pass(work, 20);
    EXPECT_EQ(state.rows, 900);
    EXPECT_EQ(state.rows_changed, 900);
  }
}

TEST_F(BackfillTest, ABatchMayShrinkInTheMiddleOfAWindow) {
  make_users(1'000);
  count_updates("users");
  auto work = backfill("users");
  work.backfill.strides = 2;
  expect_ok(target_->backfill_begin(work));
  expect_ok(target_->backfill_batch(work, 1, 200, {}));  // opens a window of 400
  for (int rows = 100; rows > 10; rows /= 2) expect_ok(target_->backfill_batch(work, 1, rows, {}));
  const auto state = run_pass(work, 30);
  EXPECT_EQ(state.rows, 1'000);
  EXPECT_EQ(state.rows_changed, 1'000);
  EXPECT_EQ(count("SELECT count(*) FROM users WHERE updates = 1 AND display_name = name"), 1'000);
}

TEST_F(BackfillTest, KilledBackendsCostNoRowAndRepeatNone) {
  make_users(3'000);
  count_updates("users");
  const auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  std::atomic<bool> finished = false;
  auto passing = std::async(std::launch::async, [&] {
    int broken = 0;
    for (int batch = 0; batch < 5'000; ++batch) {
      const auto cursor = target_->backfill_batch(work, 1, 20, {});
      if (!cursor) {
        ++broken;
      } else if (cursor->part_done) {
        break;
      }
    }
    finished = true;
    return broken;
  });
  // As many as there must be, and then an end: on a quiet machine hardly a batch would ever get through.
  int kills = 0;
  while (!finished && kills < 200) {
    pqxx::nontransaction session(admin_);
    kills += static_cast<int>(
        session
            .exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ "
                  "'^diastole/' AND query ~ '^(UPDATE|COMMIT|SET CON)' AND datname = current_database()")
            .size());
  }
  EXPECT_GT(passing.get(), 0);
  EXPECT_GT(kills, 0);
  EXPECT_EQ(count("SELECT count(*) FROM users WHERE updates = 1 AND display_name = name"), 3'000);
  EXPECT_EQ(count("SELECT sum(rows_changed) FROM diastole.backfill_part"), 3'000);
}

TEST_F(BackfillTest, ALockedRowTimesOutAndNamesItsHolder) {
  make_users(10);
  auto work = backfill("users");
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  {
    const OpenTransaction holder(dsn_, "SELECT * FROM users WHERE id = 5 FOR UPDATE");
    const auto error = expect_error(target_->backfill_batch(work, 1, 10, {}), ErrorCode::lock_timeout);
    ASSERT_EQ(error.failure.blockers.size(), 1U);
    EXPECT_EQ(error.failure.blockers[0].pid, holder.pid());
    EXPECT_EQ(count("SELECT sum(rows) FROM diastole.backfill_part"), 0);
  }
  EXPECT_EQ(run_pass(work, 10).rows_changed, 10);
}

TEST_F(BackfillTest, AStopRollsTheBatchBack) {
  make_users(10);
  const auto work = backfill("users", "pg_sleep(60)::text");
  expect_ok(target_->backfill_begin(work));
  std::stop_source stop;
  auto batch = std::async(std::launch::async, [&] { return target_->backfill_batch(work, 1, 10, stop.get_token()); });
  await_session("PgSleep");
  stop.request_stop();
  expect_error(batch.get(), ErrorCode::interrupted);
  EXPECT_EQ(count("SELECT sum(rows) FROM diastole.backfill_part"), 0);
  EXPECT_EQ(expect_ok(target_->settle(work.id, true)), core::Applied::none);
}

TEST_F(BackfillTest, AFailingExpressionSaysWhy) {
  make_users(10);
  auto work = backfill("users", "(1 / (id - 7))::text");
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  const auto error = expect_error(target_->backfill_batch(work, 1, 10, {}), ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "22012");
  EXPECT_EQ(error.failure.message, "division by zero");
}

TEST_F(BackfillTest, ATableWithoutAPrimaryKeyIsRefusedWithAWayOut) {
  run("CREATE TABLE heap (name text, display_name text)");
  EXPECT_THAT(expect_error(target_->backfill_begin(backfill("heap")), ErrorCode::invalid_argument).failure.message,
              HasSubstr("ADD PRIMARY KEY USING INDEX"));
}

TEST_F(BackfillTest, AKeyColumnCannotBeSet) {
  make_users(10);
  auto work = backfill("users");
  work.backfill.set = {{"id", "id + 1"}};
  EXPECT_THAT(expect_error(target_->backfill_begin(work), ErrorCode::invalid_argument).failure.message,
              HasSubstr("primary key"));
}

TEST_F(BackfillTest, AStaleEpochMovesNothing) {
  make_users(10);
  const auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  expect_ok(another_target()->prepare(Epoch{2}));
  expect_error(target_->backfill_batch(work, 1, 10, {}), ErrorCode::fenced);
  expect_error(target_->backfill_finish(work), ErrorCode::fenced);
  EXPECT_EQ(count("SELECT count(display_name) FROM users"), 0);
}

TEST_F(BackfillTest, VerificationCountsUpToAThousandAndCannotWrite) {
  make_users(1'500);
  auto work = backfill("users", "name", "display_name IS NULL");
  work.backfill.verify = "zero_rows";
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 1'000);
  work.backfill.verify = "SELECT id, id FROM users WHERE id <= 7; ";
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 7);
  work.backfill.verify = "SELECT 1 FROM users WHERE nextval('seq') > 0";
  run("CREATE SEQUENCE seq");
  EXPECT_EQ(expect_error(target_->backfill_remaining(work, {}), ErrorCode::invalid_argument).failure.sqlstate, "25006");
}

TEST_F(BackfillTest, FinishesOnceAndOnlyAtTheEnd) {
  make_users(10);
  const auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  expect_error(target_->backfill_finish(work), ErrorCode::conflict);
  run_pass(work, 100);
  expect_ok(target_->backfill_finish(work));
  expect_ok(target_->backfill_finish(work));
  EXPECT_EQ(expect_ok(target_->settle(work.id, true)), core::Applied::full);
  EXPECT_EQ(value("SELECT state || ' ' || rows FROM diastole.ledger"), "done 10");
}

TEST_F(BackfillTest, ACursorOfAnotherBackfillIsAConflict) {
  make_users(10);
  auto work = backfill("users");
  expect_ok(target_->backfill_begin(work));
  work.id.checksum = "another";
  expect_error(target_->backfill_begin(work), ErrorCode::conflict);
  expect_error(target_->backfill_batch(work, 1, 10, {}), ErrorCode::conflict);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
