// The target's fence, its ledger, and statements in a transaction.
#include "support/target.hpp"

#include <gmock/gmock.h>

#include <future>
#include <stop_token>

namespace diastole {
namespace {

using test::OpenTransaction;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class StatementsTest : public test::TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a'), (2, 'b')");
  }

  [[nodiscard]] auto in_background(const ports::StatementWork& work, std::stop_token stop = {}) {
    return std::async(std::launch::async, [this, work, stop] { return target_->execute(work, stop); });
  }
};

TEST_F(StatementsTest, PrepareMayRunAgainAndAtALaterEpoch) {
  expect_ok(target_->prepare(Epoch{1}));
  expect_ok(target_->prepare(Epoch{7}));
  EXPECT_EQ(value("SELECT epoch FROM diastole.fence"), "7");
}

TEST_F(StatementsTest, PrepareUnderAnEarlierEpochIsFenced) {
  expect_ok(target_->prepare(Epoch{7}));
  expect_error(target_->prepare(Epoch{6}), ErrorCode::fenced);
  EXPECT_EQ(value("SELECT epoch FROM diastole.fence"), "7");
}

TEST_F(StatementsTest, AnotherOwnerIsToldHowToTakeOver) {
  const auto other = another_target("11111111-2222-3333-4444-555555555555");
  expect_ok(target_->prepare(Epoch{50}));
  const auto message = expect_error(other->prepare(Epoch{2}), ErrorCode::conflict).failure.message;
  const auto sql = message.find("UPDATE diastole.fence");
  ASSERT_NE(sql, std::string::npos) << message;
  run(message.substr(sql));
  expect_ok(other->prepare(Epoch{2}));
  expect_error(target_->prepare(Epoch{51}), ErrorCode::conflict);
}

TEST_F(StatementsTest, AnotherOwnersEqualEpochDoesNotRule) {
  run("UPDATE diastole.fence SET owner = '11111111-2222-3333-4444-555555555555'");
  expect_error(target_->execute(statements("s", {"DELETE FROM users"}), {}), ErrorCode::fenced);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2);
}

TEST_F(StatementsTest, AnEpochThatWasTakenOverChangesNothing) {
  expect_ok(another_target()->prepare(Epoch{2}));
  expect_error(target_->execute(statements("s", {"DELETE FROM users"}), {}), ErrorCode::fenced);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2);
  EXPECT_EQ(count("SELECT count(*) FROM diastole.ledger"), 0);
}

TEST_F(StatementsTest, ATakeoverEndsSessionsThatHoldItUp) {
  auto old = in_background(statements("s", {"DELETE FROM users", "SELECT pg_sleep(120)"}));
  await_session("PgSleep");
  expect_ok(another_target()->prepare(Epoch{2}));
  expect_error(old.get(), ErrorCode::unavailable);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2);
}

TEST_F(StatementsTest, StatementsAndLedgerCommitTogetherAndOnce) {
  const auto work = statements("s", {"ALTER TABLE users ADD COLUMN n int DEFAULT 0", "UPDATE users SET n = n + 1"});
  const auto first = expect_ok(target_->execute(work, {}));
  EXPECT_FALSE(first.was_done);
  EXPECT_EQ(first.rows, 2);
  EXPECT_EQ(value("SELECT state || ' ' || checksum || ' ' || epoch || ' ' || rows FROM diastole.ledger"),
            "done sum-of-s 1 2");
  EXPECT_EQ(expect_ok(target_->settle(work.id, true)), core::Applied::full);

  const auto again = expect_ok(target_->execute(work, {}));
  EXPECT_TRUE(again.was_done);
  EXPECT_EQ(again.rows, 2);
  EXPECT_EQ(again.duration, first.duration);
  EXPECT_EQ(count("SELECT sum(n) FROM users"), 2);
}

TEST_F(StatementsTest, AnUndoTakesTheStepsRowBackSoThatItRunsAgain) {
  expect_ok(target_->execute(statements("s", {"CREATE TABLE t ()"}), {}));
  auto undo = statements("s", {"DROP TABLE t"});
  undo.id.direction = ports::Direction::undo;
  EXPECT_EQ(expect_ok(target_->settle(undo.id, true)), core::Applied::none);
  EXPECT_FALSE(expect_ok(target_->execute(undo, {})).was_done);
  EXPECT_EQ(value("SELECT string_agg(direction, ' ') FROM diastole.ledger"), "undo");
  EXPECT_TRUE(expect_ok(target_->execute(undo, {})).was_done);
  // As after a gate that fell back: again, and back again.
  EXPECT_FALSE(expect_ok(target_->execute(statements("s", {"CREATE TABLE t ()"}), {})).was_done);
  EXPECT_EQ(value("SELECT string_agg(direction, ' ') FROM diastole.ledger"), "forward");
  EXPECT_FALSE(expect_ok(target_->execute(undo, {})).was_done);
  EXPECT_EQ(count("SELECT count(*) FROM pg_class WHERE relname = 't'"), 0);
}

TEST_F(StatementsTest, OtherStatementsUnderADoneNameAreAConflict) {
  expect_ok(target_->execute(statements("s", {"CREATE TABLE t ()"}), {}));
  auto changed = statements("s", {"DROP TABLE t"});
  changed.id.checksum = "another";
  EXPECT_THAT(expect_error(target_->execute(changed, {}), ErrorCode::conflict).failure.message, HasSubstr("sum-of-s"));
  expect_error(target_->settle(changed.id, true), ErrorCode::conflict);
  EXPECT_EQ(value("SELECT to_regclass('t')"), "t");
}

TEST_F(StatementsTest, AFailureSaysWhereAndLeavesNothing) {
  const auto error =
      expect_error(target_->execute(statements("s", {"CREATE TABLE t ()", "UPDATE users\n   SET nme = 'x'"}), {}),
                   ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "42703");
  EXPECT_EQ(error.failure.message, "column \"nme\" of relation \"users\" does not exist");
  EXPECT_EQ(error.failure.statement, 2);
  EXPECT_EQ(error.failure.line, 2);
  EXPECT_EQ(error.failure.column, 8);
  EXPECT_EQ(value("SELECT to_regclass('t')"), "null");
  EXPECT_EQ(expect_ok(target_->settle(id("s"), true)), core::Applied::none);
}

TEST_F(StatementsTest, ThePositionIsExactInLongLinesTabsAndWideText) {
  const std::string lead = "\tSELECT '日本語', 'é', id, name, id + 1 AS second, id + 2 AS third, id + 3 AS fourth, ";
  const std::size_t wide = 2 * 3 + 1;  // bytes beyond one a character
  for (const std::string& tail :
       {std::string(" FROM users"),
        ", id + 4 AS fifth, id + 5 AS sixth, id + 6 AS seventh FROM users" + std::string(80, ' ')}) {
    const auto error = expect_error(target_->execute(statements("s", {"\r\n\n" + lead + "nme" + tail}), {}),
                                    ErrorCode::invalid_argument);
    EXPECT_EQ(error.failure.line, 3);
    EXPECT_EQ(error.failure.column, static_cast<int>(lead.size() - wide) + 1);
  }
  const auto short_line = expect_error(target_->execute(statements("s", {"SELECT '日本語', nme FROM users"}), {}),
                                       ErrorCode::invalid_argument);
  EXPECT_EQ(short_line.failure.column, 15);
}

TEST_F(StatementsTest, ADeferredConstraintFailsWithItsState) {
  run("ALTER TABLE users ADD COLUMN boss int REFERENCES users DEFERRABLE INITIALLY DEFERRED");
  const auto error =
      expect_error(target_->execute(statements("s", {"UPDATE users SET boss = 99"}), {}), ErrorCode::invalid_argument);
  EXPECT_EQ(error.failure.sqlstate, "23503");
  EXPECT_THAT(error.failure.detail, HasSubstr("(boss)=(99)"));
}

TEST_F(StatementsTest, ALockTimeoutNamesTheBlocker) {
  const auto work = statements("s", {"ALTER TABLE users ADD COLUMN x int"});
  {
    const OpenTransaction reader(dsn_ + " application_name=reporting",
                                 "SELECT count(*) FROM users /* monthly report */");
    const auto error = expect_error(target_->execute(work, {}), ErrorCode::lock_timeout);
    EXPECT_EQ(error.failure.sqlstate, "55P03");
    ASSERT_EQ(error.failure.blockers.size(), 1U);
    const auto& blocker = error.failure.blockers[0];
    EXPECT_EQ(blocker.pid, reader.pid());
    EXPECT_EQ(blocker.application, "reporting");
    EXPECT_EQ(blocker.state, "idle in transaction");
    EXPECT_THAT(blocker.query, HasSubstr("monthly report"));
    EXPECT_GE(blocker.age, Milliseconds{100});
  }
  expect_ok(target_->execute(work, {}));
}

TEST_F(StatementsTest, ALockTimeoutNamesAPreparedTransaction) {
  run("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE; INSERT INTO users VALUES (3, 'c'); PREPARE TRANSACTION 'stuck'");
  const auto error = expect_error(target_->execute(statements("s", {"ALTER TABLE users ADD COLUMN x int"}), {}),
                                  ErrorCode::lock_timeout);
  run("ROLLBACK PREPARED 'stuck'");
  ASSERT_EQ(error.failure.blockers.size(), 1U);
  EXPECT_EQ(error.failure.blockers[0].application, "stuck");
  EXPECT_EQ(error.failure.blockers[0].state, "prepared transaction");
}

TEST_F(StatementsTest, AStatementTimeoutIsNoInterruption) {
  auto work = statements("s", {"SELECT pg_sleep(60)"});
  work.statement_timeout = Milliseconds{50};
  EXPECT_EQ(expect_error(target_->execute(work, {}), ErrorCode::invalid_argument).failure.sqlstate, "57014");
}

TEST_F(StatementsTest, AStopCancelsWhatRunsAndRollsBack) {
  std::stop_source stop;
  auto running = in_background(statements("s", {"DELETE FROM users", "SELECT pg_sleep(60)"}), stop.get_token());
  await_session("PgSleep");
  const auto asked = std::chrono::steady_clock::now();
  stop.request_stop();
  expect_error(running.get(), ErrorCode::interrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds{2});
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2);
  EXPECT_EQ(expect_ok(target_->settle(id("s"), true)), core::Applied::none);
}

TEST_F(StatementsTest, AStopAskedForBeforehandRunsNothing) {
  std::stop_source stop;
  stop.request_stop();
  expect_error(target_->execute(statements("s", {"DELETE FROM users"}), stop.get_token()), ErrorCode::interrupted);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2);
}

TEST_F(StatementsTest, ABackendKilledMidwayIsUnavailableAndLeavesNothing) {
  auto running = in_background(statements("s", {"DELETE FROM users", "SELECT pg_sleep(60)"}));
  kill(await_session("PgSleep"));
  expect_error(running.get(), ErrorCode::unavailable);
  EXPECT_EQ(expect_ok(target_->settle(id("s"), true)), core::Applied::none);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2);
  // The next call works on a new session.
  expect_ok(target_->execute(statements("s", {"DELETE FROM users"}), {}));
}

TEST_F(StatementsTest, ABackendKilledDuringCommitIsUnknownUntilSettled) {
  // Without its synchronous standby the server commits locally and then waits: the client cannot know.
  run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  run("SELECT pg_reload_conf()");
  EXPECT_TRUE(test::eventually([&] { return value("SHOW synchronous_standby_names") == "nobody"; }));
  auto running = in_background(statements("s", {"DELETE FROM users"}));
  const int pid = await_session("SyncRep");
  run("ALTER SYSTEM RESET synchronous_standby_names");
  kill(pid);
  const auto result = running.get();
  run("SELECT pg_reload_conf()");
  EXPECT_TRUE(test::eventually([&] { return value("SHOW synchronous_standby_names").empty(); }));
  expect_error(result, ErrorCode::outcome_unknown);
  EXPECT_EQ(expect_ok(target_->settle(id("s"), true)), core::Applied::full);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 0);
}

TEST_F(StatementsTest, SettleEndsAnEarlierAttemptsSession) {
  auto earlier = in_background(statements("s", {"DELETE FROM users", "SELECT pg_sleep(60)"}));
  const int pid = await_session("PgSleep");
  // Another step's session is left alone.
  EXPECT_EQ(expect_ok(another_target()->settle(id("t"), true)), core::Applied::none);
  EXPECT_EQ(working_session("PgSleep"), pid);

  EXPECT_EQ(expect_ok(another_target()->settle(id("s"), true)), core::Applied::none);
  EXPECT_EQ(working_session(), 0);
  expect_error(earlier.get(), ErrorCode::unavailable);
}

TEST_F(StatementsTest, WhatAStepSetsInItsSessionEndsWithIt) {
  const auto sql = std::vector<std::string>{"SET search_path = diastole", "CREATE TEMPORARY TABLE scratch ()"};
  expect_ok(target_->execute(statements("a", sql), {}));
  expect_ok(target_->execute(statements("b", {"CREATE TEMPORARY TABLE scratch ()", "CREATE TABLE here ()"}), {}));
  EXPECT_EQ(value("SELECT to_regclass('public.here')"), "here");
}

TEST_F(StatementsTest, ARoleCalledLikeOurSchemaDoesNotCreateInIt) {
  run("CREATE ROLE diastole SUPERUSER LOGIN");
  const auto target = postgres::make_target(TargetName{"main"}, dsn_ + " user=diastole", kOwner, log_);
  expect_ok(target->execute(statements("s", {"CREATE TABLE ledger ()", "CREATE TABLE fresh ()"}), {}));
  EXPECT_EQ(value("SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'"),
            "fresh ledger users");
}

TEST_F(StatementsTest, CallsOnDifferentStepsRunAtOnce) {
  std::vector<std::future<ports::TargetResult<ports::WorkDone>>> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(in_background(
        statements("s" + std::to_string(i), {"INSERT INTO users VALUES (" + std::to_string(i + 10) + ")"})));
  }
  for (auto& one : all) expect_ok(one.get());
  EXPECT_EQ(count("SELECT count(*) FROM users"), 10);
}

TEST(UnreachableTargetTest, ErrorsNameNeitherHostNorUserNorPassword) {
  test::SilentLog log;
  const auto target = postgres::make_target(
      TargetName{"main"}, "host=/no/such/place user=sherlock password=moriarty dbname=baker", "", log);
  const auto result = target->prepare(Epoch{1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
  const auto& failure = result.error().failure;
  for (const auto* secret : {"/no/such", "sherlock", "moriarty", "baker"}) {
    EXPECT_THAT(failure.message + failure.detail + failure.hint, Not(HasSubstr(secret)));
  }
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
