// A gate's fence on its target, and the last look before something is destroyed.
#include <gmock/gmock.h>

#include <algorithm>
#include <future>
#include <memory>

#include "support/target.hpp"

namespace diastole::test {
namespace {

using core::Reason;
using core::SessionScan;
using ports::GateWork;
using ports::StatementWork;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class GateTest : public TargetTest {
 protected:
  std::string make_role(const std::string& name, const std::string& attributes = "LOGIN") {
    auto role = name + "_" + database_;
    run("CREATE ROLE " + role + " " + attributes);
    return role;
  }
  [[nodiscard]] std::string as(const std::string& role) const {
    return dsn_ + " user=" + role + " application_name=api@1.0.0";
  }
  [[nodiscard]] static GateWork gate(const std::string& plan, std::vector<std::string> roles, std::int64_t epoch = 1) {
    return {.plan = PlanId{"main." + plan},
            .gate_epoch = epoch,
            .epoch = Epoch{1},
            .roles = std::move(roles),
            .doomed = {},
            .lock_timeout = Milliseconds{500},
            .statement_timeout = Milliseconds{10'000}};
  }
  [[nodiscard]] bool can_login(const std::string& role) {
    return value("SELECT rolcanlogin FROM pg_roles WHERE rolname = '" + role + "'") == "t";
  }
  // What contract does to `users`, seen by a judge.
  [[nodiscard]] static StatementWork drop(const std::vector<std::string>& sql,
                                          std::function<std::vector<Reason>(const SessionScan&)> judge,
                                          std::int64_t gate_epoch = 1) {
    auto work = statements("drop", sql);
    work.last_look = ports::LastLook{
        .gate_epoch = gate_epoch, .request = {.plan = work.id.plan, .roles = {}}, .judge = std::move(judge)};
    return work;
  }
  static std::vector<Reason> content(const SessionScan& /*scan*/) { return {}; }
  // Finds fault with every session of a role.
  [[nodiscard]] static auto against(const std::string& role) {
    return [role](const SessionScan& scan) {
      std::vector<Reason> reasons;
      for (const auto& session : scan.sessions) {
        if (session.role != role) continue;
        Reason reason;
        reason.message = "session of " + session.role + " on " + session.server;
        reasons.push_back(reason);
      }
      if (!scan.complete()) reasons.emplace_back();
      return reasons;
    };
  }
  [[nodiscard]] std::int64_t columns() {
    return count("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'name'");
  }

  const std::string database_ = value("SELECT current_database()");
};

TEST_F(GateTest, KeepsOldRolesOutAndLetsThemInAgain) {
  const auto old = make_role("old");
  const auto odd = value("SELECT 'o\"d''d ' || current_database()");
  run("DO $$ BEGIN EXECUTE format('CREATE ROLE %I LOGIN', 'o\"d''d ' || current_database()); END $$");
  const auto idle = make_role("idle", "NOLOGIN");
  pqxx::connection before(as(old));
  const auto work = gate("split", {old, odd, idle, "nobody"});
  EXPECT_THAT(expect_ok(target_->keep_out(work)), UnorderedElementsAre(old, odd));
  EXPECT_FALSE(can_login(old));
  EXPECT_THROW(pqxx::connection{as(old)}, pqxx::broken_connection);
  EXPECT_EQ(pqxx::nontransaction(before).exec("SELECT 1").size(), 1) << "who is in stays in";
  EXPECT_THAT(expect_ok(target_->keep_out(work)), UnorderedElementsAre(old, odd)) << "again is no harm";
  expect_ok(target_->let_in(work, {}));
  expect_ok(target_->let_in(work, {}));
  EXPECT_TRUE(can_login(old));
  EXPECT_EQ(value("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'o\"d''d ' || current_database()"), "t");
  EXPECT_FALSE(can_login(idle)) << "it had none before";
  EXPECT_EQ(count("SELECT count(*) FROM diastole.kept_out_role"), 0);
}

// A plan whose gate falls back before its fence was raised has nothing to undo, and closes its epoch all the same.
TEST_F(GateTest, AnEpochThatIsOverCanNeitherFenceNorLetIn) {
  const auto old = make_role("old");
  expect_ok(target_->let_in(gate("split", {old}, 1), {}));
  EXPECT_THAT(expect_error(target_->keep_out(gate("split", {old}, 1)), ErrorCode::conflict).failure.message,
              HasSubstr("its epoch 1 has no effect any more"));
  EXPECT_TRUE(can_login(old));
  expect_ok(target_->keep_out(gate("split", {old}, 2)));
  expect_ok(target_->let_in(gate("split", {old}, 1), {}));
  EXPECT_FALSE(can_login(old)) << "a late call of an earlier epoch";
  expect_error(target_->keep_out(gate("split", {old}, 1)), ErrorCode::conflict);
  expect_error(target_->quarantine(gate("split", {old}, 1), {}), ErrorCode::conflict);
  expect_ok(target_->let_in(gate("split", {old}, 2), {}));
  EXPECT_TRUE(can_login(old));
}

TEST_F(GateTest, ARoleIsLetInWhenNoPlanKeepsItOut) {
  const auto old = make_role("old");
  EXPECT_THAT(expect_ok(target_->keep_out(gate("one", {old}))), ElementsAre(old));
  EXPECT_THAT(expect_ok(target_->keep_out(gate("two", {old}))), ElementsAre(old));
  expect_ok(target_->let_in(gate("one", {}), {}));
  EXPECT_FALSE(can_login(old));
  EXPECT_THAT(expect_ok(target_->keep_out(gate("two", {old}))), ElementsAre(old));
  expect_ok(target_->let_in(gate("two", {}), {}));
  EXPECT_TRUE(can_login(old));
}

TEST_F(GateTest, ManyPlansMayKeepOutOneRoleAtOnce) {
  const auto old = make_role("old");
  std::vector<std::future<void>> plans;
  for (int i = 0; i < 6; ++i) {
    plans.push_back(std::async(std::launch::async, [&, i] {
      auto work = gate(fmt::format("plan-{}", i), {old});
      work.lock_timeout = Milliseconds{10'000};
      for (work.gate_epoch = 1; work.gate_epoch <= 4; ++work.gate_epoch) {
        EXPECT_THAT(expect_ok(target_->keep_out(work)), ElementsAre(old));
        EXPECT_FALSE(expect_ok(target_->sessions({.plan = work.plan, .roles = {old}})).servers[0].logins[0].can_login);
        expect_ok(target_->let_in(work, {}));
      }
    }));
  }
  for (auto& plan : plans) plan.get();
  EXPECT_TRUE(can_login(old));
}

TEST_F(GateTest, OurOwnRoleIsNotKeptOut) {
  const auto old = make_role("old");
  const auto error = expect_error(target_->keep_out(gate("split", {old, "postgres"})), ErrorCode::conflict);
  EXPECT_THAT(error.failure.message, HasSubstr("role postgres is our own"));
  EXPECT_TRUE(can_login(old)) << "all or nothing";
  EXPECT_EQ(count("SELECT count(*) FROM diastole.gate"), 0);
}

TEST_F(GateTest, ARoleThatMayNotSaysWhatItNeeds) {
  const auto old = make_role("old");
  const auto weak = make_role("weak");
  run("GRANT ALL ON SCHEMA diastole TO " + weak + "; GRANT ALL ON ALL TABLES IN SCHEMA diastole TO " + weak);
  const auto target = postgres::make_target(TargetName{"main"}, dsn_ + " user=" + weak, kOwner, log_);
  const auto error = expect_error(target->keep_out(gate("split", {old})), ErrorCode::conflict);
  EXPECT_THAT(error.failure.message, HasSubstr("our role may not change a login on target main"));
  EXPECT_THAT(error.failure.hint, HasSubstr("CREATEROLE"));
  EXPECT_EQ(count("SELECT count(*) FROM diastole.gate"), 0);
  run("ALTER ROLE " + weak + " CREATEROLE");
  EXPECT_THAT(expect_ok(target->keep_out(gate("split", {old}))), ElementsAre(old));
  // A role that has no login needs no right to take it.
  run("ALTER ROLE " + weak + " NOCREATEROLE");
  EXPECT_THAT(expect_ok(target->keep_out(gate("split", {old}))), ElementsAre(old));
  expect_error(target->let_in(gate("split", {old}), {}), ErrorCode::conflict);
  EXPECT_EQ(count("SELECT count(*) FROM diastole.kept_out_role"), 1) << "rolled back";
  expect_ok(target_->let_in(gate("split", {old}), {}));
  EXPECT_TRUE(can_login(old));
}

TEST_F(GateTest, AStaleLeaseDoesNothing) {
  const auto old = make_role("old");
  expect_ok(target_->prepare(Epoch{2}));
  expect_error(target_->keep_out(gate("split", {old})), ErrorCode::fenced);
  expect_error(target_->let_in(gate("split", {old}), {}), ErrorCode::fenced);
  expect_error(target_->quarantine(gate("split", {old}), {}), ErrorCode::fenced);
  EXPECT_TRUE(can_login(old));
}

TEST_F(GateTest, AnAttemptThatIsKilledLeavesNothingBehind) {
  const auto old = make_role("old");
  auto work = gate("split", {old});
  work.lock_timeout = Milliseconds{30'000};
  work.statement_timeout = Milliseconds{30'000};
  for (const bool in : {false, true}) {
    OpenTransaction blocker(dsn_, "LOCK TABLE pg_authid IN SHARE MODE");
    auto call = std::async(std::launch::async, [&] {
      if (in) return target_->let_in(work, {});
      auto kept_out = target_->keep_out(work);
      return kept_out ? ports::TargetResult<void>() : std::unexpected(kept_out.error());
    });
    kill(await_session("Lock"));
    expect_error(call.get(), ErrorCode::unavailable);
    EXPECT_EQ(can_login(old), !in);
    EXPECT_EQ(count("SELECT count(*) FROM diastole.kept_out_role"), in ? 1 : 0);
    blocker.commit();
    if (in) expect_ok(target_->let_in(work, {}));
    if (!in) expect_ok(target_->keep_out(work));
    EXPECT_EQ(can_login(old), in);
  }
}

TEST_F(GateTest, ALockThatIsNotGrantedNamesItsBlockers) {
  const auto old = make_role("old");
  const OpenTransaction blocker(dsn_, "LOCK TABLE diastole.kept_out_role");
  const auto error = expect_error(target_->keep_out(gate("split", {old})), ErrorCode::lock_timeout);
  ASSERT_EQ(error.failure.blockers.size(), 1U);
  EXPECT_EQ(error.failure.blockers[0].pid, blocker.pid());
  EXPECT_TRUE(can_login(old));
}

class LastLookTest : public GateTest {
 protected:
  void SetUp() override {
    GateTest::SetUp();
    run("CREATE TABLE users (id bigint PRIMARY KEY, name text)");
    auto work = gate("test", {old_});
    expect_ok(target_->keep_out(work));
    run("ALTER ROLE " + old_ + " LOGIN; GRANT SELECT ON users TO " + old_);  // what no fence should meet
  }
  const std::string old_ = make_role("old");
};

TEST_F(LastLookTest, DropsWhereNothingIsFoundAgainstIt) {
  int looks = 0;
  const auto work = drop({"ALTER TABLE users DROP COLUMN name"}, [&](const SessionScan& scan) {
    ++looks;
    EXPECT_TRUE(scan.complete());
    // The lock is held now, and we are not among those seen.
    EXPECT_EQ(count("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = "
                    "(SELECT oid FROM pg_class WHERE relname = 'users')"),
              1);
    EXPECT_EQ(scan.sessions.size(), 1U);
    return std::vector<Reason>{};
  });
  EXPECT_FALSE(expect_ok(target_->execute(work, {})).was_done);
  EXPECT_EQ(looks, 1);
  EXPECT_EQ(columns(), 0);
  // What is done is done: nobody has to be away any more.
  EXPECT_TRUE(expect_ok(target_->execute(work, {})).was_done);
  EXPECT_EQ(looks, 1);
}

TEST_F(LastLookTest, RefusesWhileAnOldSessionIsThere) {
  const auto work = drop({"ALTER TABLE users DROP COLUMN name"}, against(old_));
  {
    const pqxx::connection old(as(old_));
    const auto error = expect_error(target_->execute(work, {}), ErrorCode::interrupted);
    EXPECT_EQ(error.failure.message,
              "rolled back at the last look before the commit: session of " + old_ + " on primary");
    EXPECT_EQ(columns(), 1);
    EXPECT_EQ(count("SELECT count(*) FROM diastole.ledger"), 0);
  }
  EXPECT_TRUE(eventually([&] { return target_->execute(work, {}).has_value(); }));
  EXPECT_EQ(columns(), 0);
}

// pg_stat_activity would show what it was when the transaction first read it.
TEST_F(LastLookTest, SeesWhoCameAfterTheTransactionHasLookedForTheFirstTime) {
  std::unique_ptr<pqxx::connection> old;
  auto work = drop({"SELECT count(*) FROM pg_stat_activity", "ALTER TABLE users DROP COLUMN name",
                    "SELECT pg_advisory_lock_shared(4711)"},
                   against(old_));
  work.lock_timeout = Milliseconds{20'000};
  pqxx::nontransaction(admin_).exec("SELECT pg_advisory_lock(4711)");
  auto running = std::async(std::launch::async, [&] { return target_->execute(work, {}); });
  await_session("Lock");
  old = std::make_unique<pqxx::connection>(as(old_));
  run("SELECT pg_advisory_unlock(4711)");
  expect_error(running.get(), ErrorCode::interrupted);
  EXPECT_EQ(columns(), 1);
}

TEST_F(LastLookTest, WhoComesWhileTheLockIsHeldIsSeenByAnotherLook) {
  std::unique_ptr<pqxx::connection> old;
  const auto work = drop({"ALTER TABLE users DROP COLUMN name"}, [&](const SessionScan& scan) {
    EXPECT_THAT(against(old_)(scan), IsEmpty());
    old = std::make_unique<pqxx::connection>(as(old_));
    return against(old_)(expect_ok(target_->sessions({.plan = PlanId{"main.test"}, .roles = {}})));
  });
  expect_error(target_->execute(work, {}), ErrorCode::interrupted);
  EXPECT_EQ(columns(), 1);
}

TEST_F(LastLookTest, AServerThatIsNotScannedIsNoCleanOne) {
  const auto target = postgres::make_target(TargetName{"main"}, dsn_, kOwner, log_, {}, {"host=/nowhere"});
  expect_error(target->execute(drop({"ALTER TABLE users DROP COLUMN name"}, against(old_)), {}),
               ErrorCode::interrupted);
  EXPECT_EQ(columns(), 1);
}

TEST_F(LastLookTest, AnEpochOfTheGateThatIsOverDropsNothing) {
  for (const std::int64_t epoch : {0, 2}) {
    const auto error =
        expect_error(target_->execute(drop({"DROP TABLE users"}, content, epoch), {}), ErrorCode::interrupted);
    EXPECT_THAT(error.failure.message, HasSubstr("the gate of plan main.test has fallen back"));
  }
  expect_ok(target_->let_in(gate("test", {}), {}));
  for (const std::int64_t epoch : {1, 2})
    expect_error(target_->execute(drop({"DROP TABLE users"}, content, epoch), {}), ErrorCode::interrupted);
  expect_ok(target_->keep_out(gate("test", {}, 2)));
  expect_error(target_->execute(drop({"DROP TABLE users"}, content, 1), {}), ErrorCode::interrupted);
  EXPECT_EQ(columns(), 1);
  expect_ok(target_->execute(drop({"DROP TABLE users"}, content, 2), {}));
}

// From the last look to the commit the gate cannot fall back: its row is held.
TEST_F(LastLookTest, TheGateDoesNotFallBackUnderADropThatHasLooked) {
  const auto work = drop({"DROP TABLE users"}, [&](const SessionScan&) {
    const auto error = expect_error(target_->let_in(gate("test", {}), {}), ErrorCode::lock_timeout);
    EXPECT_EQ(error.failure.blockers.size(), 1U);
    return std::vector<Reason>{};
  });
  expect_ok(target_->execute(work, {}));
  expect_ok(target_->let_in(gate("test", {}), {}));
}

TEST_F(LastLookTest, LooksBeforeAStatementThatCannotRunInATransaction) {
  run("CREATE INDEX users_name ON users (name)");
  auto work = outside("drop", "DROP INDEX CONCURRENTLY users_name", "users_name");
  work.last_look =
      ports::LastLook{.gate_epoch = 1, .request = {.plan = work.id.plan, .roles = {}}, .judge = against(old_)};
  const auto indexes = [&] {
    return count("SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('users_name')");
  };
  {
    const pqxx::connection old(as(old_));
    const auto error = expect_error(target_->execute_concurrently(work, {}), ErrorCode::interrupted);
    EXPECT_EQ(error.applied, core::Applied::none);
    EXPECT_EQ(indexes(), 1);
    EXPECT_EQ(count("SELECT count(*) FROM diastole.ledger"), 0) << "nothing was claimed";
  }
  work.last_look->gate_epoch = 2;
  expect_error(target_->execute_concurrently(work, {}), ErrorCode::interrupted);
  work.last_look->gate_epoch = 1;
  EXPECT_TRUE(eventually([&] { return target_->execute_concurrently(work, {}).has_value(); }));
  EXPECT_EQ(indexes(), 0);
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
