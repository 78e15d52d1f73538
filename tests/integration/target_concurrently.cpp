// Statements that cannot run in a transaction.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <stop_token>

#include "support/target.hpp"

namespace diastole {
namespace {

using core::Applied;
using test::OpenTransaction;
using ::testing::HasSubstr;

class ConcurrentlyTest : public test::TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("CREATE SCHEMA app; CREATE TABLE app.users (id int PRIMARY KEY, junk int, name text COLLATE \"C\"); "
        "ALTER TABLE app.users DROP COLUMN junk; INSERT INTO app.users SELECT n, 'n' || n FROM generate_series(1, 100) "
        "n");
  }

  [[nodiscard]] std::string index_state(const std::string& index) {
    return value(
        "SELECT coalesce((SELECT CASE WHEN indisvalid THEN 'valid' ELSE 'INVALID' END FROM pg_index "
        "WHERE indexrelid = to_regclass('" +
        index + "')), 'absent')");
  }
  void forget_the_end() { run("UPDATE diastole.ledger SET state = 'started', finished_at = NULL"); }

  [[nodiscard]] auto in_background(const ports::StatementWork& work, std::stop_token stop = {}) {
    return std::async(std::launch::async, [this, work, stop] { return target_->execute_concurrently(work, stop); });
  }

  const ports::StatementWork create_ =
      outside("i", "CREATE INDEX CONCURRENTLY idx ON app.users (lower(name)) WHERE id > 10;", "idx");
};

TEST_F(ConcurrentlyTest, BuildsRecordsAndDoesNotBuildTwice) {
  EXPECT_FALSE(expect_ok(target_->execute_concurrently(create_, {})).was_done);
  EXPECT_EQ(index_state("app.idx"), "valid");
  EXPECT_EQ(expect_ok(target_->settle(create_.id, false)), Applied::full);
  const auto oid = value("SELECT 'app.idx'::regclass::oid");
  EXPECT_TRUE(expect_ok(target_->execute_concurrently(create_, {})).was_done);
  EXPECT_EQ(value("SELECT 'app.idx'::regclass::oid"), oid);
}

TEST_F(ConcurrentlyTest, ARelationOfThatNameIsNotOurs) {
  run("CREATE INDEX idx ON app.users (lower(name)) WHERE id > 10");
  for (const auto* sql : {"CREATE INDEX CONCURRENTLY idx ON app.users (lower(name)) WHERE id > 10",
                          "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx ON app.users (lower(name)) WHERE id > 10"}) {
    const auto error =
        expect_error(target_->execute_concurrently(outside("i", sql, "idx"), {}), ErrorCode::invalid_argument);
    EXPECT_EQ(error.failure.sqlstate, "42P07");
    EXPECT_THAT(error.failure.message, HasSubstr("not this plan's"));
    EXPECT_EQ(error.applied, Applied::none);
  }
  EXPECT_EQ(index_state("app.idx"), "valid");
  EXPECT_EQ(count("SELECT count(*) FROM diastole.ledger"), 0);
}

TEST_F(ConcurrentlyTest, AnIndexWithoutANameIsRefused) {
  expect_error(target_->execute_concurrently(outside("i", "CREATE INDEX CONCURRENTLY ON app.users (name)", ""), {}),
               ErrorCode::invalid_argument);
  EXPECT_EQ(count("SELECT count(*) FROM pg_index WHERE indrelid = 'app.users'::regclass"), 1);
}

TEST_F(ConcurrentlyTest, OurInvalidLeftoverIsBuiltAgain) {
  run("INSERT INTO app.users VALUES (1000, 'n1')");
  const auto work = outside("u", "CREATE UNIQUE INDEX CONCURRENTLY uniq ON app.users (name)", "uniq");
  const auto error = expect_error(target_->execute_concurrently(work, {}), ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "23505");
  EXPECT_EQ(error.applied, Applied::partial);
  EXPECT_EQ(index_state("app.uniq"), "INVALID");
  EXPECT_EQ(expect_ok(target_->settle(work.id, false)), Applied::partial);

  run("DELETE FROM app.users WHERE id = 1000");
  EXPECT_FALSE(expect_ok(target_->execute_concurrently(work, {})).was_done);
  EXPECT_EQ(index_state("app.uniq"), "valid");
}

TEST_F(ConcurrentlyTest, AStatementRefusedAtOnceLeavesNoClaim) {
  const auto work = outside("i", "CREATE INDEX CONCURRENTLY idx ON app.users (nme)", "idx");
  const auto error = expect_error(target_->execute_concurrently(work, {}), ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "42703");
  EXPECT_EQ(error.failure.statement, 1);
  EXPECT_EQ(error.applied, Applied::none);
  EXPECT_EQ(expect_ok(target_->settle(work.id, false)), Applied::none);
}

TEST_F(ConcurrentlyTest, AFinishedBuildWithoutItsRecordIsRecognised) {
  for (const auto& work :
       {create_, outside("u",
                         "create unique /* one */ index concurrently \"Quoted\" on only app.users\n"
                         "using btree (name desc nulls last, id) include (id) with (fillfactor = 70) -- end",
                         "\"Quoted\"")}) {
    expect_ok(target_->execute_concurrently(work, {}));
    forget_the_end();
    EXPECT_EQ(expect_ok(target_->settle(work.id, false)), Applied::partial);
    EXPECT_TRUE(expect_ok(target_->execute_concurrently(work, {})).was_done);
    EXPECT_EQ(expect_ok(target_->settle(work.id, false)), Applied::full);
  }
}

TEST_F(ConcurrentlyTest, AnotherDefinitionUnderOurNameIsAConflict) {
  for (const auto* other : {"CREATE INDEX idx ON app.users (lower(name)) WHERE id > 11",
                            "CREATE INDEX idx ON app.users (upper(name)) WHERE id > 10",
                            "CREATE UNIQUE INDEX idx ON app.users (lower(name)) WHERE id > 10"}) {
    run("TRUNCATE diastole.ledger; DROP INDEX IF EXISTS app.idx");
    expect_ok(target_->execute_concurrently(create_, {}));
    forget_the_end();
    run("DROP INDEX app.idx");
    run(other);
    EXPECT_THAT(expect_error(target_->execute_concurrently(create_, {}), ErrorCode::conflict).failure.message,
                HasSubstr("another definition"));
    EXPECT_EQ(index_state("app.idx"), "valid");
  }
}

TEST_F(ConcurrentlyTest, AStopEndsAWaitingBuildAndTheNextAttemptFinishesIt) {
  {
    const OpenTransaction writer(dsn_, "UPDATE app.users SET name = name WHERE id = 1");
    std::stop_source stop;
    auto building = in_background(create_, stop.get_token());
    await_session("Lock");
    const auto asked = std::chrono::steady_clock::now();
    stop.request_stop();
    EXPECT_EQ(expect_error(building.get(), ErrorCode::interrupted).applied, Applied::partial);
    EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds{2});
    EXPECT_EQ(index_state("app.idx"), "INVALID");
  }
  expect_ok(target_->execute_concurrently(create_, {}));
  EXPECT_EQ(index_state("app.idx"), "valid");
}

TEST_F(ConcurrentlyTest, WaitsBeyondTheLockTimeoutAndNamesBlockersAtItsOwn) {
  const OpenTransaction writer(dsn_, "UPDATE app.users SET name = name WHERE id = 1");
  auto work = create_;
  work.lock_timeout = Milliseconds{10};
  work.statement_timeout = Milliseconds{700};
  const auto error = expect_error(target_->execute_concurrently(work, {}), ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "57014");
  ASSERT_EQ(error.failure.blockers.size(), 1U);
  EXPECT_EQ(error.failure.blockers[0].pid, writer.pid());
}

TEST_F(ConcurrentlyTest, ABuildThatWaitsTellsOfItsBlockersOnce) {
  auto writer = std::make_unique<OpenTransaction>(dsn_, "UPDATE app.users SET name = name WHERE id = 1");
  std::promise<std::vector<core::Blocker>> told;
  std::atomic<int> times = 0;
  auto work = create_;
  work.on_blocked = [&](const std::vector<core::Blocker>& blockers) {
    if (++times == 1) told.set_value(blockers);
  };
  auto building = in_background(work);
  auto blockers = told.get_future();
  ASSERT_EQ(blockers.wait_for(std::chrono::seconds{20}), std::future_status::ready);
  const auto seen = blockers.get();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].pid, writer->pid());
  writer.reset();
  expect_ok(building.get());
  EXPECT_EQ(times, 1);
}

TEST_F(ConcurrentlyTest, ABackendKilledMidwayIsUnknownAndTheNextAttemptFinishesIt) {
  {
    const OpenTransaction writer(dsn_, "UPDATE app.users SET name = name WHERE id = 1");
    auto building = in_background(create_);
    kill(await_session("Lock"));
    EXPECT_EQ(expect_error(building.get(), ErrorCode::outcome_unknown).applied, Applied::partial);
    EXPECT_EQ(expect_ok(target_->settle(create_.id, false)), Applied::partial);
  }
  expect_ok(target_->execute_concurrently(create_, {}));
  EXPECT_EQ(index_state("app.idx"), "valid");
}

TEST_F(ConcurrentlyTest, SettleEndsAnEarlierBuild) {
  const OpenTransaction writer(dsn_, "UPDATE app.users SET name = name WHERE id = 1");
  auto building = in_background(create_);
  await_session("Lock");
  EXPECT_EQ(expect_ok(another_target()->settle(create_.id, false)), Applied::partial);
  EXPECT_EQ(working_session(), 0);
  expect_error(building.get(), ErrorCode::outcome_unknown);
}

TEST_F(ConcurrentlyTest, AStaleEpochBuildsNothing) {
  expect_ok(another_target()->prepare(Epoch{2}));
  expect_error(target_->execute_concurrently(create_, {}), ErrorCode::fenced);
  EXPECT_EQ(index_state("app.idx"), "absent");
}

TEST_F(ConcurrentlyTest, DropsAnIndexAndKnowsThatItDid) {
  expect_ok(target_->execute_concurrently(create_, {}));
  const auto drop = outside("d", "DROP INDEX CONCURRENTLY app.idx", "app.idx");
  expect_ok(target_->execute_concurrently(drop, {}));
  EXPECT_EQ(index_state("app.idx"), "absent");
  run("UPDATE diastole.ledger SET state = 'started', finished_at = NULL WHERE step = 'd'");
  EXPECT_TRUE(expect_ok(target_->execute_concurrently(drop, {})).was_done);
}

TEST_F(ConcurrentlyTest, DropOfAnAbsentIndexFollowsIfExists) {
  expect_ok(target_->execute_concurrently(outside("a", "DROP INDEX CONCURRENTLY IF EXISTS app.idx", "app.idx"), {}));
  const auto error =
      expect_error(target_->execute_concurrently(outside("b", "DROP INDEX CONCURRENTLY app.idx", "app.idx"), {}),
                   ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "42704");
}

TEST_F(ConcurrentlyTest, RepeatableStatementsMayRunAgainAndOthersNot) {
  const auto reindex = outside("r", "REINDEX TABLE CONCURRENTLY app.users", "");
  expect_ok(target_->execute_concurrently(reindex, {}));
  forget_the_end();
  EXPECT_FALSE(expect_ok(target_->execute_concurrently(reindex, {})).was_done);

  run("CREATE TABLE app.parts (id int) PARTITION BY LIST (id); CREATE TABLE app.part PARTITION OF app.parts FOR VALUES "
      "IN (1)");
  const auto detach = outside("p", "ALTER TABLE app.parts DETACH PARTITION app.part CONCURRENTLY", "");
  expect_ok(target_->execute_concurrently(detach, {}));
  forget_the_end();
  expect_error(target_->execute_concurrently(detach, {}), ErrorCode::conflict);
}

TEST_F(ConcurrentlyTest, WantsExactlyOneStatementOfItsKind) {
  auto two = create_;
  two.statements.push_back(two.statements[0]);
  expect_error(target_->execute_concurrently(two, {}), ErrorCode::invalid_argument);
  expect_error(target_->execute_concurrently(statements("s", {"SELECT 1"}), {}), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
