// Rows that cannot be changed, statements of a plan's own, dry runs, and verifications that are asked once more.
#include "support/backfill.hpp"

namespace diastole {
namespace {

using ports::BackfillBatch;
using ports::BackfillWork;
using test::BackfillTest;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class BackfillRowsTest : public BackfillTest {
 protected:
  // To the end of the part, as the engine does: row by row through a batch that a row spoils.
  BackfillBatch isolating(const BackfillWork& work, int rows, int part = 1) {
    expect_ok(target_->backfill_begin(work));
    BackfillBatch sum;
    for (int tries = 0; !sum.part_done && tries < 1'000 && !HasFailure(); ++tries) {
      auto batch = target_->backfill_batch(work, part, rows, {});
      if (!batch && core::blames_row(batch.error().failure.sqlstate))
        batch = target_->backfill_isolate(work, part, rows, {});
      const auto done = expect_ok(std::move(batch));
      sum.rows += done.rows;
      sum.rows_changed += done.rows_changed;
      sum.rows_skipped += done.rows_skipped;
      sum.part_done = done.part_done;
    }
    return sum;
  }

  static BackfillWork skipping(BackfillWork work) {
    work.backfill.on_error = core::OnError::skip;
    return work;
  }

  static BackfillWork own_sql(const std::string& table, std::vector<std::string> pieces) {
    auto work = backfill(table);
    work.backfill.set.clear();
    for (const auto& piece : pieces) work.backfill.sql += piece;
    work.backfill.sql_pieces = std::move(pieces);
    return work;
  }
};

TEST_F(BackfillRowsTest, StopNamesEveryBadRowOfTheBatchAndLosesNothing) {
  make_users(20);
  count_updates("users");
  auto work = backfill("users", "(1 / ((id - 7) * (id - 9)))::text");
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  const auto error = expect_error(target_->backfill_isolate(work, 1, 10, {}), ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "22012");
  EXPECT_EQ(error.failure.message, "division by zero");
  EXPECT_EQ(error.failure.detail, "public.users id = 7: division by zero; public.users id = 9: division by zero");
  EXPECT_EQ(count("SELECT sum(updates) FROM users"), 0);
  EXPECT_EQ(expect_ok(target_->settle(work.id, true)), core::Applied::none);
  run("DELETE FROM users WHERE id IN (7, 9)");
  EXPECT_EQ(isolating(work, 10).rows_changed, 18);
  EXPECT_EQ(count("SELECT count(*) FROM users WHERE updates = 1"), 18);
}

TEST_F(BackfillRowsTest, SkipListsTheBadRowsAndChangesTheOthersOnce) {
  make_users(95);
  count_updates("users");
  run("ALTER TABLE users ADD CHECK (display_name <> 'n50')");
  auto work = skipping(
      backfill("users", "CASE WHEN id % 30 = 0 THEN (1 / (id % 30))::text ELSE name END", "display_name IS NULL"));
  work.backfill.verify = "zero_rows";
  work.backfill.walk_by = core::WalkBy::key;
  const auto done = isolating(work, 10);
  EXPECT_EQ(done.rows, 95);
  EXPECT_EQ(done.rows_changed, 91);
  EXPECT_EQ(done.rows_skipped, 4);
  EXPECT_EQ(count("SELECT count(*) FROM users WHERE updates = 1 AND display_name = name"), 91);
  EXPECT_EQ(value("SELECT string_agg(key[1] || ' ' || sqlstate, ', ' ORDER BY key[1]::int) FROM "
                  "diastole.backfill_skipped WHERE key_names = '{id}' AND relation = 'public.users'"),
            "30 22012, 50 23514, 60 22012, 90 22012");
  EXPECT_EQ(expect_ok(target_->backfill_begin(work)).rows_skipped, 4);
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 0) << "what is listed is known";
  run("INSERT INTO users VALUES (96, 'n96')");
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 1);
  run("DELETE FROM diastole.backfill_skipped WHERE key = '{60}'");
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 2) << "taken off the list it counts again";

  run("UPDATE users SET id = 131 WHERE id = 30");
  expect_ok(target_->backfill_again(work));
  EXPECT_EQ(isolating(work, 10).rows_skipped, 3) << "each pass lists anew";
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 0);
  const auto skipped = expect_ok(target_->backfill_finish(work));
  ASSERT_THAT(skipped, SizeIs(3));
  EXPECT_EQ(core::shown({skipped.front()}).substr(0, 18), "public.users id = ");
}

TEST_F(BackfillRowsTest, ARowWithoutAKeyIsNamedByItsPlace) {
  run("CREATE TABLE heap (id int, name text, display_name text); INSERT INTO heap SELECT n, 'n' || n FROM "
      "generate_series(1, 500) n; ANALYZE heap");
  auto work = skipping(backfill("heap", "(1 / (id - 7))::text", "display_name IS NULL"));
  work.backfill.verify = "zero_rows";
  const auto done = isolating(work, 10);
  EXPECT_EQ(done.rows_changed, 499);
  EXPECT_EQ(done.rows_skipped, 1);
  EXPECT_EQ(value("SELECT key_names || key[1:1] FROM diastole.backfill_skipped"),
            value("SELECT ARRAY['ctid', 'xmin', ctid::text] FROM heap WHERE id = 7"));
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 0);
  run("UPDATE heap SET name = 'another' WHERE id = 7");
  EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 1) << "another version of it was never tried";
}

TEST_F(BackfillRowsTest, PartitionsAndCompositeKeysNameTheirRows) {
  run("CREATE TABLE days (day date, n int, name text DEFAULT 'x', display_name text, PRIMARY KEY (day, n)) PARTITION "
      "BY "
      "RANGE (day);"
      "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"
      "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');"
      "INSERT INTO days SELECT '2026-01-15'::date + n, n FROM generate_series(0, 31) n");
  const auto work = skipping(backfill("days", "(1 / (days.n - 20))::text"));
  expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(isolating(work, 10, 1).rows_skipped, 0);
  EXPECT_EQ(isolating(work, 10, 2).rows_skipped, 1);
  EXPECT_EQ(core::shown(expect_ok(target_->backfill_finish(work))),
            "public.days_2 day = 2026-02-04, n = 20: division by zero");
}

TEST_F(BackfillRowsTest, ADeferredConstraintBlamesItsRow) {
  make_users(10);
  run("ALTER TABLE users ADD CONSTRAINT once UNIQUE (display_name) DEFERRABLE INITIALLY DEFERRED; "
      "UPDATE users SET name = 'n3' WHERE id = 8");
  const auto work = skipping(backfill("users"));
  EXPECT_EQ(isolating(work, 10).rows_skipped, 1);
  EXPECT_EQ(value("SELECT key[1] || ' ' || sqlstate FROM diastole.backfill_skipped"), "8 23505");
}

TEST_F(BackfillRowsTest, MoreThanAThousandBadRowsStop) {
  make_users(1'200);
  auto work = skipping(backfill("users", "(1 / (id - id))::text"));
  work.backfill.strides = 1;
  expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(expect_ok(target_->backfill_isolate(work, 1, 1'000, {})).rows_skipped, 1'000);
  const auto error = expect_error(target_->backfill_isolate(work, 1, 10, {}), ErrorCode::invalid_argument);
  EXPECT_THAT(error.failure.message, AllOf(HasSubstr("more than 1000 rows"), HasSubstr("id = 1010: division by zero")));
  EXPECT_EQ(count("SELECT count(*) FROM diastole.backfill_skipped"), 1'000);
}

TEST_F(BackfillRowsTest, ATimeoutIsNobodysFault) {
  make_users(10);
  auto work = skipping(backfill("users", "(SELECT name FROM pg_sleep(5))"));
  work.statement_timeout = Milliseconds{100};
  expect_ok(target_->backfill_begin(work));
  EXPECT_EQ(target_->backfill_isolate(work, 1, 10, {}).error().failure.sqlstate, "57014");
  EXPECT_EQ(count("SELECT count(*) FROM diastole.backfill_skipped"), 0);
}

TEST_F(BackfillRowsTest, OwnSqlSeesEachKeyOnceInItsWindows) {
  make_users(95);
  run("DELETE FROM users WHERE id BETWEEN 30 AND 45; CREATE TABLE totals (first int, last int, n bigint)");
  const auto work = own_sql("users", {"INSERT INTO totals SELECT ", ":from", ", ", ":to",
                                      ", count(*) FROM users WHERE id BETWEEN ", ":from", " AND ", ":to", " -- all"});
  EXPECT_EQ(run_pass(work, 20).rows, 79);
  EXPECT_EQ(count("SELECT sum(n) FROM totals"), 79);
  EXPECT_EQ(value("SELECT string_agg(first || '-' || last, ' ' ORDER BY first) FROM totals"), "1-20 21-56 57-76 77-95")
      << "both ends are keys, and no window is longer than it was asked to be";
}

TEST_F(BackfillRowsTest, OwnSqlOverPartitionsGoesThroughTheirParent) {
  run("CREATE TABLE parts (id int PRIMARY KEY, n int DEFAULT 0) PARTITION BY HASH (id);"
      "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
      "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
      "INSERT INTO parts SELECT generate_series(1, 95)");
  const auto work = own_sql("parts", {"UPDATE parts SET n = n + 1 WHERE id BETWEEN ", ":from", " AND ", ":to"});
  EXPECT_EQ(run_pass(work, 10).rows_changed, 95);
  EXPECT_EQ(count("SELECT count(*) FROM parts WHERE n = 1"), 95);
}

TEST_F(BackfillRowsTest, OwnSqlThatAKeySpoilsIsRunKeyByKey) {
  make_users(25);
  run("CREATE TABLE copies (id int CHECK (id <> 13))");
  const auto work = skipping(
      own_sql("users", {"INSERT INTO copies SELECT id FROM users WHERE id BETWEEN ", ":from", " AND ", ":to"}));
  const auto done = isolating(work, 10);
  EXPECT_EQ(done.rows_changed, 24);
  EXPECT_EQ(done.rows_skipped, 1);
  EXPECT_EQ(count("SELECT count(*) FROM copies"), 24);
  EXPECT_EQ(value("SELECT key[1] FROM diastole.backfill_skipped"), "13");
}

TEST_F(BackfillRowsTest, OwnSqlThatScansTheTableForEachWindowIsRefused) {
  make_users(1'000);
  const auto scan =
      own_sql("users", {"UPDATE users SET display_name = name WHERE id + 0 BETWEEN ", ":from", " AND ", ":to"});
  EXPECT_THAT(expect_error(target_->backfill_begin(scan), ErrorCode::invalid_argument).failure.message,
              HasSubstr("let `sql` say WHERE id BETWEEN :from AND :to"));
  EXPECT_EQ(count("SELECT count(*) FROM diastole.backfill"), 0);
}

TEST_F(BackfillRowsTest, ASubqueryThatScansTheTableIsRefusedAndOneBehindAnIndexIsNot) {
  make_users(1'000);
  run("ALTER TABLE users ADD COLUMN boss int; UPDATE users SET boss = id / 10; ANALYZE users");
  const auto staff = backfill("users", "(SELECT count(*)::text FROM users u WHERE u.boss = users.id)");
  EXPECT_THAT(expect_error(target_->backfill_begin(staff), ErrorCode::invalid_argument).failure.message,
              HasSubstr("would scan all of public.users for each batch"));
  run("CREATE INDEX ON users (boss)");
  EXPECT_THAT(expect_ok(target_->backfill_begin(staff)).open_parts, SizeIs(1));
}

TEST_F(BackfillRowsTest, ADryRunShowsWhatWouldRunAndLeavesNoTrace) {
  make_users(1'000);
  run("DROP SCHEMA diastole CASCADE");
  auto work = backfill("users", "upper(name)");
  work.backfill.strides = 4;
  const auto preview = expect_ok(target_->backfill_preview(work, 50));
  EXPECT_EQ(preview.walk.by, core::WalkBy::key);
  EXPECT_THAT(preview.walk.because, Not(IsEmpty()));
  ASSERT_THAT(preview.parts, SizeIs(1));
  EXPECT_EQ(preview.parts[0].relation, "public.users");
  EXPECT_EQ(preview.parts[0].rows, 1'000);
  EXPECT_THAT(preview.window_sql, HasSubstr("FROM ONLY public.users WHERE true ORDER BY id LIMIT 200"));
  EXPECT_THAT(preview.batch_sql, AllOf(HasSubstr("UPDATE ONLY public.users SET \"display_name\" = (upper(name)"),
                                       HasSubstr("<= ('200'::integer)"), HasSubstr("(hashint8(id::bigint) & 3) = 0")));
  EXPECT_THAT(preview.explain, HasSubstr("Update on users"));
  EXPECT_EQ(preview.refused, "");
  EXPECT_EQ(count("SELECT count(display_name) FROM users"), 0);
  EXPECT_EQ(count("SELECT count(*) FROM pg_namespace WHERE nspname = 'diastole'"), 0);
}

TEST_F(BackfillRowsTest, ADryRunSaysWhatIsMissingAndWhatWouldBeRefused) {
  make_users(1'000);
  auto work = backfill("users");
  work.backfill.set = {{"full_name", "name"}};
  EXPECT_THAT(expect_error(target_->backfill_preview(work, 50), ErrorCode::conflict).failure.message,
              AllOf(HasSubstr("\"full_name\""), HasSubstr("once expand is done")));
  work.backfill.table = "nobody";
  EXPECT_THAT(expect_error(target_->backfill_preview(work, 50), ErrorCode::conflict).failure.message,
              HasSubstr("there is no table nobody"));
  const auto scan = backfill("users", "(SELECT max(u.name) FROM users u WHERE u.name > users.name)");
  const auto preview = expect_ok(target_->backfill_preview(scan, 50));
  EXPECT_THAT(preview.refused, HasSubstr("would scan all of public.users"));
  EXPECT_THAT(preview.explain, HasSubstr("Seq Scan"));
}

TEST_F(BackfillRowsTest, ADryRunOfAnEmptyTableHasNoBatch) {
  make_users(0);
  const auto preview = expect_ok(target_->backfill_preview(backfill("users"), 50));
  EXPECT_EQ(preview.batch_sql, "");
  EXPECT_EQ(preview.explain, "");
}

class RecheckTest : public BackfillRowsTest {
 protected:
  static constexpr Milliseconds kQuiet{600'000};

  // A verified backfill of three rows.
  BackfillWork verified() {
    make_users(3);
    flush();
    auto work = backfill("users", "name", "display_name IS NULL");
    work.backfill.verify = "zero_rows";
    work.backfill.recheck.where = "display_name IS NULL";
    run_pass(work, 10);
    EXPECT_EQ(expect_ok(target_->backfill_remaining(work, {})), 0);
    expect_ok(target_->backfill_finish(work));
    return work;
  }
  // Lets the statistics know what this test's session has written.
  void flush() { run("SELECT pg_stat_force_next_flush()"); }
  // As if the verification had been a while ago.
  void let_time_pass() { run("UPDATE diastole.backfill SET verified_at = verified_at - interval '2 minutes'"); }
};

TEST_F(RecheckTest, ReadsNothingWhereNoRowWasWritten) {
  const auto work = verified();
  EXPECT_FALSE(expect_ok(target_->backfill_recheck(work, kQuiet, {})).unwritten) << "too soon to know";
  let_time_pass();
  EXPECT_TRUE(expect_ok(target_->backfill_recheck(work, kQuiet, {})).unwritten);
  EXPECT_FALSE(expect_ok(target_->backfill_recheck(work, Milliseconds{59'999}, {})).unwritten)
      << "old code may have written what the statistics do not know yet";
  run("DELETE FROM users WHERE id = 1");
  flush();
  run("VACUUM users");
  EXPECT_TRUE(expect_ok(target_->backfill_recheck(work, kQuiet, {})).unwritten);
  run("SELECT pg_stat_reset()");
  EXPECT_FALSE(expect_ok(target_->backfill_recheck(work, kQuiet, {})).unwritten);
}

TEST_F(RecheckTest, FindsWhatWasWrittenSince) {
  const auto work = verified();
  let_time_pass();
  run("INSERT INTO users VALUES (4, 'late'), (5, 'later')");
  flush();
  ASSERT_TRUE(test::eventually([&] { return !expect_ok(target_->backfill_recheck(work, kQuiet, {})).unwritten; }));
  EXPECT_EQ(expect_ok(target_->backfill_recheck(work, kQuiet, {})).rows, 2);
  run("UPDATE users SET display_name = name");
  EXPECT_EQ(expect_ok(target_->backfill_recheck(work, kQuiet, {})).rows, 0);
}

TEST_F(RecheckTest, AQueryMayFindNothingAndMayNotWrite) {
  auto work = verified();
  work.backfill.recheck = {.query = "SELECT id FROM users WHERE id > 1;"};
  EXPECT_EQ(expect_ok(target_->backfill_recheck(work, kQuiet, {})).rows, 2);
  work.backfill.recheck = {.query = "SELECT nextval('seq')"};
  run("CREATE SEQUENCE seq");
  EXPECT_EQ(expect_error(target_->backfill_recheck(work, kQuiet, {}), ErrorCode::invalid_argument).failure.sqlstate,
            "25006");
  work.backfill.recheck = {.none = "nobody minds"};
  EXPECT_EQ(expect_ok(target_->backfill_recheck(work, kQuiet, {})).rows, 0);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
